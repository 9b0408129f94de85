package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ErrUnreachable is wrapped when the account that runs the server may not enter the data folder.
var ErrUnreachable = errors.New("the data folder cannot be reached by the account that runs PostgreSQL")

// account is who runs the server. PostgreSQL refuses to run as root, so root runs it as somebody else.
type account struct {
	name     string
	uid, gid uint32
	other    bool // not the account of this process
}

// runAs returns the account of this process, or, for root, the named one (by default postgres, else nobody).
func runAs(name string) (account, error) {
	if os.Geteuid() != 0 {
		me, err := user.Current()
		if err != nil {
			// No entry in the user database: peer authentication needs a name.
			return account{}, fmt.Errorf("who runs this program: %w", err)
		}
		return account{name: me.Username, uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}, nil
	}
	names := []string{"postgres", "nobody"}
	if name != "" {
		names = []string{name}
	}
	for _, n := range names {
		u, err := user.Lookup(n)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return account{}, fmt.Errorf("account %s: %w", n, err)
		}
		if uid == 0 {
			return account{}, fmt.Errorf("account %s is root, which PostgreSQL refuses to run as", n)
		}
		return account{name: n, uid: uint32(uid), gid: uint32(gid), other: true}, nil
	}
	return account{}, fmt.Errorf("none of the accounts %s exists, and PostgreSQL refuses to run as root", strings.Join(names, ", "))
}

// attr makes a child run as the account in a process group of its own (a Ctrl-C at the terminal is ours to handle),
// and be signalled when the thread that started it ends, which it does when we are killed.
func (a account) attr(onDeath syscall.Signal) *syscall.SysProcAttr {
	at := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: onDeath}
	if a.other {
		at.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return at
}

// environment is what the programs of PostgreSQL see: nothing of ours.
func (a account) environment() []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/nonexistent", "LC_ALL=C", "TZ=UTC", "USER=" + a.name, "LOGNAME=" + a.name}
}

// reaches tells whether the account may enter a folder, by asking the kernel as that account. The error names the
// first folder on the way that it may not enter.
func (a account) reaches(ctx context.Context, dir string) error {
	if !a.other {
		return nil
	}
	enter := func(d string) bool {
		cmd := exec.CommandContext(ctx, "/bin/sh", "-c", `cd "$1"`, "sh", d)
		cmd.SysProcAttr, cmd.Env, cmd.Dir = a.attr(0), a.environment(), "/"
		return cmd.Run() == nil
	}
	if enter(dir) {
		return nil
	}
	blocked, at := dir, "/"
	for _, part := range strings.Split(strings.Trim(dir, "/"), "/") {
		at = filepath.Join(at, part)
		if !enter(at) {
			blocked = at
			break
		}
	}
	return fmt.Errorf("%w: account %s may not enter %s on the way to %s; choose a data folder elsewhere (data_dir)", ErrUnreachable, a.name, blocked, dir)
}

// own gives a file or folder to the account.
func (a account) own(path string) error {
	if !a.other {
		return nil
	}
	return os.Chown(path, int(a.uid), int(a.gid))
}
