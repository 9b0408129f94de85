package evidence

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"zhijiao/internal/crypto"
)

// zoneFile is what stands in zone.json.
type zoneFile struct {
	Name     string          `json:"name"`
	Stored   any             `json:"stored"` // what verdicts are computed from
	Geometry json.RawMessage `json:"geometry"`
}

// files are the contents of a package but the manifest, by name.
func (p *Package) files() (map[string][]byte, error) {
	out := map[string][]byte{}
	put := func(name string, v any) error {
		doc, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		out[name] = append(doc, '\n')
		return nil
	}
	var lines bytes.Buffer
	e := json.NewEncoder(&lines)
	for i := range p.Fixes {
		if err := e.Encode(&p.Fixes[i]); err != nil {
			return nil, fmt.Errorf("write %s: %w", fileFixes, err)
		}
	}
	out[fileFixes] = bytes.Clone(lines.Bytes())
	lines.Reset()
	for i := range p.Ledger {
		if err := e.Encode(&p.Ledger[i]); err != nil {
			return nil, fmt.Errorf("write %s: %w", fileLedger, err)
		}
	}
	out[fileLedger] = lines.Bytes()
	for name, v := range map[string]any{fileViolation: &p.Violation, fileRule: p.Rule, fileDecisions: p.Decisions, fileAlerts: p.Alerts, fileExplanation: p.Explanation} {
		if err := put(name, v); err != nil {
			return nil, err
		}
	}
	if p.Zone != nil {
		if err := put(fileZone, zoneFile{p.ZoneName, p.Zone, p.Geometry}); err != nil {
			return nil, err
		}
	}
	if p.report != nil {
		out[fileReport] = p.report
	}
	return out, nil
}

// Write signs a package and returns it as a file. The same content gives the same file, but for the signature where its algorithm is random (SM2).
func (p *Package) Write(signer crypto.Signer) ([]byte, error) {
	m := &p.Manifest
	m.Format, m.Key, m.Files = Format, signer.Public(), map[string]FileSum{}
	m.Hash, _, _ = strings.Cut(m.Key.Algorithm, "+")
	sum := crypto.Sum(m.Key.Algorithm)
	files, err := p.files()
	if err != nil {
		return nil, err
	}
	for name, content := range files {
		h := sum(content)
		m.Files[name] = FileSum{len(content), h[:]}
	}
	manifest, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", fileManifest, err)
	}
	signature, err := signer.Sign(manifest)
	if err != nil {
		return nil, fmt.Errorf("sign the package: %w", err)
	}
	files[fileManifest], files[fileSignature] = manifest, signature
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, name := range names {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(2020, 7, 1, 0, 0, 0, 0, time.UTC)})
		if err == nil {
			_, err = w.Write(files[name])
		}
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("write the package: %w", err)
	}
	return out.Bytes(), nil
}
