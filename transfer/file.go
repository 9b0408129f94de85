package transfer

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Format names the layout.
const Format = "zhijiao-person/1"

// Kind is what a file holds of one table.
type Kind struct {
	Rows   int    `json:"rows"`
	Hash   []byte `json:"sha256"` // over the rows in order, each as canonical JSON with a line end
	Shared bool   `json:"shared"` // with others; what is there already stays
}

// Manifest says what a file holds.
type Manifest struct {
	Format  string           `json:"format"`
	Schema  int32            `json:"schema"` // of the database it is from
	Subject int64            `json:"subject_id"`
	LocalNo string           `json:"local_no"`
	MadeAt  time.Time        `json:"made_at"`
	Kinds   map[string]*Kind `json:"kinds"` // by table
}

// Person is a file opened: rows by table.
type Person struct {
	Manifest Manifest
	Rows     map[string][]map[string]any
}

// ErrFile is wrapped by what is wrong with a file.
var ErrFile = errors.New("this is no file of a person")

// line is a row in one form only: keys sorted, numbers as they were.
func line(row map[string]any) ([]byte, error) {
	doc, err := json.Marshal(row)
	return append(doc, '\n'), err
}

// sum counts and hashes what there is of each table.
func (p *Person) sum(shared func(table string) bool) error {
	p.Manifest.Kinds = map[string]*Kind{}
	for table, rows := range p.Rows {
		h := sha256.New()
		for _, r := range rows {
			doc, err := line(r)
			if err != nil {
				return err
			}
			h.Write(doc)
		}
		p.Manifest.Kinds[table] = &Kind{len(rows), h.Sum(nil), shared(table)}
	}
	return nil
}

// Write is the file of a person.
func (p *Person) Write() ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	put := func(name string, content []byte) error {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(2020, 7, 1, 0, 0, 0, 0, time.UTC)})
		if err == nil {
			_, err = w.Write(content)
		}
		return err
	}
	manifest, err := json.MarshalIndent(&p.Manifest, "", " ")
	if err != nil {
		return nil, err
	}
	if err := put("manifest.json", manifest); err != nil {
		return nil, err
	}
	tables := make([]string, 0, len(p.Rows))
	for t := range p.Rows {
		tables = append(tables, t)
	}
	slices.Sort(tables)
	for _, t := range tables {
		var b bytes.Buffer
		for _, r := range p.Rows[t] {
			doc, err := line(r)
			if err != nil {
				return nil, err
			}
			b.Write(doc)
		}
		if err := put(t+".jsonl", b.Bytes()); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// mostUnpacked bounds a file: a person with years of a fix every ten seconds is far below.
const mostUnpacked = 4 << 30

// Read opens a file and compares it with its manifest.
func Read(file []byte) (*Person, error) {
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	p := &Person{Rows: map[string][]map[string]any{}}
	left := int64(mostUnpacked)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrFile, f.Name, err)
		}
		content, err := io.ReadAll(io.LimitReader(r, left+1))
		r.Close() //nolint:errcheck // it was read
		if left -= int64(len(content)); err != nil || left < 0 {
			return nil, fmt.Errorf("%w: %s cannot be unpacked", ErrFile, f.Name)
		}
		if f.Name == "manifest.json" {
			if err := json.Unmarshal(content, &p.Manifest); err != nil {
				return nil, fmt.Errorf("%w: %s: %w", ErrFile, f.Name, err)
			}
			continue
		}
		table, ok := strings.CutSuffix(f.Name, ".jsonl")
		if !ok {
			return nil, fmt.Errorf("%w: %s", ErrFile, f.Name)
		}
		d := json.NewDecoder(bytes.NewReader(content))
		d.UseNumber()
		p.Rows[table] = []map[string]any{}
		for {
			var row map[string]any
			err := d.Decode(&row)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("%w: %s: %w", ErrFile, f.Name, err)
			}
			p.Rows[table] = append(p.Rows[table], row)
		}
	}
	if p.Manifest.Format != Format {
		return nil, fmt.Errorf("%w: format %q is not %s", ErrFile, p.Manifest.Format, Format)
	}
	said := p.Manifest.Kinds
	if err := p.sum(func(t string) bool { return said[t] != nil && said[t].Shared }); err != nil {
		return nil, err
	}
	for table, k := range said {
		if have := p.Manifest.Kinds[table]; have == nil || have.Rows != k.Rows || !bytes.Equal(have.Hash, k.Hash) {
			return nil, fmt.Errorf("%w: %s is not what the manifest says", ErrFile, table)
		}
	}
	if len(p.Manifest.Kinds) != len(said) {
		return nil, fmt.Errorf("%w: it holds more than the manifest says", ErrFile)
	}
	return p, nil
}
