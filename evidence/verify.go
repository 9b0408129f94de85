package evidence

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"zhijiao/geofence"
	"zhijiao/internal/audit"
	"zhijiao/internal/crypto"
)

// Most a package may be: more is none of ours, and is not unpacked.
const (
	mostBytes    = 64 << 20 // packed
	mostUnpacked = 512 << 20
	mostFiles    = 16
)

// ErrPackage is wrapped by what is wrong with a package. The error says what, the first first.
var ErrPackage = errors.New("the package does not verify")

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrPackage, fmt.Sprintf(format, args...))
}

// Report is what Verify found to be so.
type Report struct {
	Manifest Manifest
	Fixes    int // whose verdicts were computed again
	Decisive int // fixes of the decision that are among them
	Rows     int // of the ledger, with proofs
}

// known are the files a package may have.
var known = []string{fileManifest, fileSignature, fileViolation, fileFixes, fileRule, fileZone, fileDecisions, fileAlerts, fileExplanation, fileLedger, fileReport}

// unpack reads the files of a package, and none that it should not have.
func unpack(file []byte) (map[string][]byte, error) {
	if len(file) > mostBytes {
		return nil, wrong("it is larger than %d bytes", mostBytes)
	}
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, wrong("it is no zip file: %v", err)
	}
	if len(z.File) > mostFiles {
		return nil, wrong("it has %d files", len(z.File))
	}
	out, left := map[string][]byte{}, int64(mostUnpacked)
	for _, f := range z.File {
		if _, twice := out[f.Name]; twice || !slices.Contains(known, f.Name) {
			return nil, wrong("%q is no file of a package, or there twice", f.Name)
		}
		r, err := f.Open()
		if err != nil {
			return nil, wrong("%s: %v", f.Name, err)
		}
		content, err := io.ReadAll(io.LimitReader(r, left+1))
		r.Close() //nolint:errcheck // it was read
		if err != nil {
			return nil, wrong("%s: %v", f.Name, err)
		}
		if left -= int64(len(content)); left < 0 {
			return nil, wrong("it unpacks to more than %d bytes", mostUnpacked)
		}
		out[f.Name] = content
	}
	return out, nil
}

// Verify says whether a package is what was signed, and whether what it says follows from what is in it. trusted are the keys that may have signed it
// and the seals; without any, it is only shown that one key signed all of it, and the reader compares that key with the one they were given.
func Verify(file []byte, trusted ...crypto.Public) (Report, error) {
	var r Report
	files, err := unpack(file)
	if err != nil {
		return r, err
	}
	m := &r.Manifest
	if err := strictly(files[fileManifest], m); err != nil {
		return r, wrong("%s: %v", fileManifest, err)
	}
	if m.Format != Format {
		return r, wrong("%s: format %q is not %s", fileManifest, m.Format, Format)
	}
	if !m.Key.Verify(files[fileManifest], files[fileSignature]) {
		return r, wrong("%s: the key did not sign it", fileManifest)
	}
	if len(trusted) > 0 {
		for _, k := range append([]crypto.Public{m.Key}, m.AuditKeys...) {
			if !slices.ContainsFunc(trusted, func(t crypto.Public) bool { return t.String() == k.String() }) {
				return r, wrong("%s: %s is none of the keys that were given", fileManifest, k)
			}
		}
	}
	sum := crypto.Sum(m.Key.Algorithm)
	for name, want := range m.Files {
		content, ok := files[name]
		if !ok {
			return r, wrong("%s is missing", name)
		}
		if h := sum(content); len(content) != want.Size || !bytes.Equal(h[:], want.Hash) {
			return r, wrong("%s was changed", name)
		}
	}
	for name := range files {
		if _, ok := m.Files[name]; !ok && name != fileManifest && name != fileSignature {
			return r, wrong("%s was put in", name)
		}
	}
	return r, r.follow(files)
}

// follow checks what is said against what it is said to follow from.
func (r *Report) follow(files map[string][]byte) error {
	var v Violation
	if err := json.Unmarshal(files[fileViolation], &v); err != nil {
		return wrong("%s: %v", fileViolation, err)
	}
	if int64(v.Violation) != r.Manifest.Violation {
		return wrong("%s is of violation %d, the manifest of %d", fileViolation, v.Violation, r.Manifest.Violation)
	}
	history, err := v.thresholds()
	if err != nil {
		return wrong("%s: evidence: %v", fileViolation, err)
	}
	var zone *geofence.Zone
	if doc, ok := files[fileZone]; ok {
		var z struct{ Stored geofence.StoredZone }
		if err := json.Unmarshal(doc, &z); err != nil {
			return wrong("%s: %v", fileZone, err)
		}
		if zone, err = z.Stored.Zone(); err != nil {
			return wrong("%s: %v", fileZone, err)
		}
	}
	type key struct{ device, boot, seq int64 }
	seen := map[key]*Fix{}
	if err := eachLine(files[fileFixes], func(n int, line []byte) error {
		f := &Fix{}
		if err := strictly(line, f); err != nil {
			return wrong("%s, line %d: %v", fileFixes, n, err)
		}
		seen[key{f.Device, f.Boot, f.Seq}] = f
		if zone == nil {
			return nil
		}
		r.Fixes++
		if verdict, margin := judge(&history.Opened.Thresholds, zone, f); verdict != f.Verdict || margin != f.MarginCM {
			return wrong("%s, line %d: computed again the verdict is %s by %d cm, not %s by %d cm", fileFixes, n, verdict, margin, f.Verdict, f.MarginCM)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, mark := range history.Opened.Fixes {
		f, ok := seen[key{int64(mark.Device), mark.Boot, mark.Seq}]
		if !ok {
			continue // it was not kept, or is from before what is shown
		}
		if f.LonE7 != int64(mark.LonE7) || f.LatE7 != int64(mark.LatE7) || !f.At.Equal(mark.At) {
			return wrong("%s: fix %d of device %d is not the one it was decided on", fileFixes, mark.Seq, mark.Device)
		}
		r.Decisive++
	}
	return eachLine(files[fileLedger], func(n int, line []byte) error {
		var p audit.Proof
		if err := json.Unmarshal(line, &p); err != nil {
			return wrong("%s, line %d: %v", fileLedger, n, err)
		}
		if err := p.Verify(r.Manifest.AuditKeys); err != nil {
			return wrong("%s, line %d: %v", fileLedger, n, err)
		}
		r.Rows++
		return nil
	})
}

func eachLine(doc []byte, do func(n int, line []byte) error) error {
	s := bufio.NewScanner(bytes.NewReader(doc))
	s.Buffer(nil, mostBytes)
	for n := 1; s.Scan(); n++ {
		if err := do(n, s.Bytes()); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		return wrong("%v", err)
	}
	return nil
}

// strictly decodes JSON and refuses what it does not know: nothing stands in a package that nobody looks at.
func strictly(doc []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.DisallowUnknownFields()
	return d.Decode(to)
}
