// Command withpg starts one private PostgreSQL, runs a command with its address in ZHIJIAO_TEST_DATABASE_URL, stops the
// server and ends as the command did. When the variable is set already, that server is used.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"zhijiao/internal/pgtest"
)

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpg:", err)
	}
	os.Exit(code)
}

func run(args []string) (code int, err error) {
	if len(args) == 0 {
		return 2, errors.New("usage: withpg command [argument...]")
	}
	// The terminal sends an interrupt to the command as well: wait for it to end, then stop the server.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if os.Getenv(pgtest.EnvURL) == "" {
		url, stop, err := pgtest.StartServer(context.Background())
		if err != nil {
			return 1, err
		}
		defer func() {
			if e := stop(); e != nil && err == nil {
				code, err = max(code, 1), e
			}
		}()
		cmd.Env = append(os.Environ(), pgtest.EnvURL+"="+url)
	}
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGTERM { // sent to us alone
				cmd.Process.Signal(s) //nolint:errcheck // it may have ended already
			}
		case err := <-ended:
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				return max(exit.ExitCode(), 1), nil
			}
			if err != nil {
				return 1, err
			}
			return 0, nil
		}
	}
}
