package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// anchored is a seal as the file outside of the database has it: a line of JSON.
type anchored struct {
	N         int64     `json:"n"`
	At        time.Time `json:"at"`
	Hash      []byte    `json:"hash"`
	Signature []byte    `json:"signature"`
}

// readAnchor reads the file; one that is not there is empty.
func readAnchor(path string) (map[int64]anchored, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[int64]anchored{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the copy of the seals: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	out := map[int64]anchored{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		var a anchored
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil || a.N <= 0 {
			continue // a line that was cut short by a crash is written again
		}
		if _, twice := out[a.N]; !twice { // the first is the one that was written first
			out[a.N] = a
		}
	}
	return out, lines.Err()
}

// appendAnchor writes seals to the file and to the disk.
func appendAnchor(path string, seals ...*Seal) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("copy the seals: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, s := range seals {
		line, err := json.Marshal(anchored{s.N, s.At, s.Hash, s.Signature})
		if err != nil {
			return err
		}
		if _, err := f.Write(append(append([]byte("\n"), line...), '\n')); err != nil { // on a line of its own, whatever was cut short before
			return fmt.Errorf("copy the seals: %w", err)
		}
	}
	return f.Sync()
}
