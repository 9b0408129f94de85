package crypto

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// fileHead starts a new keys file. It is for the person who opens it.
const fileHead = `# Keys of zhijiao. Without this file personal data, quarantined payloads and the credentials of all devices are lost:
# keep a copy in another place than the copies of the database. Nobody but the program's account may read it.
# A line is: number, key (32 bytes, base64), suite (international or sm; none is international). The highest number seals and
# signs; the lowest makes the keyed digests and stays. To change the suite, add a line.
`

// Load reads a keys file. It refuses one that others may read.
func Load(path string) (*Keys, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("keys file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("keys file: %w", err)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("keys file %s may be read by others (mode %04o): chmod 600", path, perm)
	}
	roots, err := parse(bufio.NewScanner(f))
	if err != nil {
		return nil, fmt.Errorf("keys file %s: %w", path, err)
	}
	k, err := newKeys(roots)
	if err != nil {
		return nil, fmt.Errorf("keys file %s: %w", path, err)
	}
	return k, nil
}

// parse reads the lines of a keys file. What it says of a bad one never repeats it.
func parse(lines *bufio.Scanner) (map[uint16]root, error) {
	roots := map[uint16]root{}
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 2 && len(fields) != 3 {
			return nil, fmt.Errorf("line %d is not a number, a key and perhaps a suite", n)
		}
		number, err := strconv.ParseUint(fields[0], 10, 16)
		if err != nil || number == 0 {
			return nil, fmt.Errorf("line %d does not start with a number from 1 to 65535", n)
		}
		key, err := base64.StdEncoding.DecodeString(fields[1])
		if err != nil || len(key) != rootSize {
			return nil, fmt.Errorf("line %d is not a key of %d bytes in base64", n, rootSize)
		}
		if _, twice := roots[uint16(number)]; twice {
			return nil, fmt.Errorf("line %d gives key %d again", n, number)
		}
		var suite Suite
		if len(fields) == 3 {
			if suite, err = parseSuite(fields[2]); err != nil {
				return nil, fmt.Errorf("line %d: suite: %w", n, err)
			}
		} else {
			suite = International
		}
		roots[uint16(number)] = root{key, suite}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return roots, nil
}

// LoadOrCreate reads a keys file, and makes one with a new key where there is none. Two processes that start at once end
// with the same keys.
func LoadOrCreate(path string) (k *Keys, created bool, err error) {
	return LoadOrCreateOf(path, International)
}

// LoadOrCreateOf is LoadOrCreate with the suite of a key that is made.
func LoadOrCreateOf(path string, suite Suite) (k *Keys, created bool, err error) {
	if k, err = Load(path); !errors.Is(err, fs.ErrNotExist) {
		return k, false, err
	}
	if created, err = create(path, suite); err != nil {
		return nil, false, err
	}
	k, err = Load(path)
	return k, created, err
}

// create writes a new keys file whole or not at all, and leaves one that is there alone.
func create(path string, suite Suite) (bool, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return false, fmt.Errorf("folder of the keys file: %w", err)
	}
	tmp, err := os.CreateTemp(dir, ".keys-*") // 0600
	if err != nil {
		return false, fmt.Errorf("keys file: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = fmt.Fprintf(tmp, "%s1 %s %s\n", fileHead, base64.StdEncoding.EncodeToString(randomRoot()), suite)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return false, fmt.Errorf("write the keys file: %w", err)
	}
	switch err := os.Link(tmp.Name(), path); {
	case errors.Is(err, fs.ErrExist):
		return false, nil // another process was first
	case err != nil:
		return false, fmt.Errorf("write the keys file: %w", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return true, fmt.Errorf("folder of the keys file: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return true, fmt.Errorf("folder of the keys file: %w", err)
	}
	return true, nil
}

// AddRoot adds a new root key of a suite to a keys file: from now on it seals and signs, and what there is still opens. It returns its number.
func AddRoot(path string, suite Suite) (n uint16, err error) {
	if _, err := parseSuite(string(suite)); err != nil || suite == "" {
		return 0, fmt.Errorf("suite: one of %v", Suites)
	}
	k, err := Load(path)
	if err != nil {
		return 0, err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return 0, fmt.Errorf("keys file: %w", err)
	}
	_, err = fmt.Fprintf(f, "%d %s %s\n", k.newest+1, base64.StdEncoding.EncodeToString(randomRoot()), suite)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, fmt.Errorf("write the keys file: %w", err)
	}
	return k.newest + 1, nil
}
