package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// maxSocketFolder keeps the whole socket address under the 107 bytes that the kernel allows.
const maxSocketFolder = 80

// Place returns where data that were asked for at dir can really live: dir itself when the account that runs the server
// reaches it, else a folder with a stable name under /var/lib or, failing that, the folder for temporary files.
func Place(ctx context.Context, dir, accountName string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("data folder: %w", err)
	}
	acc, err := runAs(accountName)
	if err != nil {
		return "", err
	}
	err = acc.reaches(ctx, nearest(dir))
	if !errors.Is(err, ErrUnreachable) {
		return dir, err
	}
	name := "zhijiao-" + digest(dir)
	for _, base := range []string{"/var/lib", os.TempDir(), "/tmp"} {
		if probe, errTemp := os.MkdirTemp(base, name); errTemp == nil {
			os.Remove(probe)
			if acc.reaches(ctx, base) == nil {
				return filepath.Join(base, name), nil
			}
		}
	}
	return "", err
}

// nearest is the deepest folder on the way to dir that exists.
func nearest(dir string) string {
	for {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return dir
		}
		dir = up
	}
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:6])
}

// socketFolder makes the folder of the socket: beside the data, or, when that path is too long for the kernel, below the
// folder for temporary files, under a name derived from the data folder, so that a crash leaves one at most.
func socketFolder(data string, acc account) (string, error) {
	dir := socketPath(data, acc)
	err := os.Mkdir(dir, 0o700)
	switch {
	case err == nil:
		if err := acc.own(dir); err != nil {
			return "", fmt.Errorf("socket folder: %w", err)
		}
		return dir, nil
	case !errors.Is(err, os.ErrExist):
		return "", fmt.Errorf("socket folder: %w", err)
	}
	// It is there: somebody else may have put it there, to hear or answer what is said on the socket.
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("socket folder: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || st.Uid != acc.uid || info.Mode().Perm() != 0o700 {
		return "", fmt.Errorf("socket folder %s is not a folder of account %s alone (mode 0700): remove it", dir, acc.name)
	}
	return dir, nil
}

func socketPath(data string, acc account) string {
	dir := filepath.Join(data, "run")
	if len(dir) > maxSocketFolder {
		dir = filepath.Join("/tmp", fmt.Sprintf("zhijiao-%d-%s", acc.uid, digest(data)))
	}
	return dir
}

// Address is where the server of a data folder is when it runs: for a second program beside the one that runs it.
func Address(opts Options) (string, error) {
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return "", fmt.Errorf("data folder: %w", err)
	}
	acc, err := runAs(opts.Account)
	if err != nil {
		return "", err
	}
	return address(socketPath(dir, acc), ""), nil
}
