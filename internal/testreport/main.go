// Command testreport reads what `go test -json` prints and tells what a person wants to know: each package's line, the
// output of what failed, the ten slowest tests, and how many passed and failed. It ends with 1 when anything failed or
// nothing ran.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// slowest is how many of the slowest tests are told.
const slowest = 10

// event is one line of `go test -json`.
type event struct {
	Action  string
	Package string
	Test    string
	Elapsed float64
	Output  string

	ImportPath string // of a build event
}

type name struct{ pkg, test string }

type timed struct {
	name
	seconds float64
}

type report struct {
	out                     io.Writer
	output                  map[name][]string
	done                    []timed
	passed, failed, skipped int
	broken                  bool
}

func main() {
	r := &report{out: os.Stdout, output: map[name][]string{}}
	if err := r.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	r.finish()
	if r.failed > 0 || r.broken || r.passed == 0 {
		os.Exit(1)
	}
}

func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Fprint(r.out, string(line)) // of the go command itself
			} else {
				r.take(e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) take(e event) {
	n := name{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "build-fail":
		r.broken = true
	case "run":
		r.output[n] = nil // from now on it is one that has not ended, whether it says something or not
	case "output":
		if !strings.HasPrefix(e.Output, "=== ") { // that it runs, waits, goes on
			r.output[n] = append(r.output[n], e.Output)
		}
	case "pass", "skip", "fail":
		r.end(n, e)
	}
}

func (r *report) end(n name, e event) {
	text := strings.Join(r.output[n], "")
	delete(r.output, n)
	if n.test == "" {
		if e.Action == "fail" {
			r.broken = true
			fmt.Fprint(r.out, text) // a panic, a time-out, a failing TestMain
		} else if e.Action == "pass" {
			for line := range strings.Lines(text) {
				if strings.HasPrefix(line, "ok ") {
					fmt.Fprint(r.out, line)
				}
			}
		}
		return
	}
	switch e.Action {
	case "pass":
		r.passed++
	case "skip":
		r.skipped++
		fmt.Fprint(r.out, text)
	case "fail":
		r.failed++
		fmt.Fprintf(r.out, "%s\n%s", n.pkg, text)
	}
	if !strings.Contains(n.test, "/") {
		r.done = append(r.done, timed{n, e.Elapsed})
	}
}

func (r *report) finish() {
	for n, text := range r.output { // killed before its end was told
		if n.test != "" {
			r.broken = true
			fmt.Fprintf(r.out, "%s %s did not end\n%s", n.pkg, n.test, strings.Join(text, ""))
		}
	}
	slices.SortFunc(r.done, func(a, b timed) int { return cmp.Compare(b.seconds, a.seconds) })
	fmt.Fprintf(r.out, "\nThe %d slowest tests:\n", min(slowest, len(r.done)))
	for _, t := range r.done[:min(slowest, len(r.done))] {
		fmt.Fprintf(r.out, "%8.2fs  %s  %s\n", t.seconds, t.test, t.pkg)
	}
	fmt.Fprintf(r.out, "\n%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
}
