package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	t.Parallel()
	const in = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"quiet\n"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":1.5}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestB","Output":"loud\n"}
{"Action":"fail","Package":"p","Test":"TestB","Elapsed":0.5}
{"Action":"output","Package":"p","Output":"FAIL p 2s\n"}
{"Action":"fail","Package":"p","Elapsed":2}
{"Action":"output","Package":"q","Output":"ok  \tq\t1s\n"}
{"Action":"pass","Package":"q","Elapsed":1}
not of the tests
`
	var out bytes.Buffer
	r := &report{out: &out, output: map[name][]string{}}
	if err := r.read(strings.NewReader(in)); err != nil {
		t.Fatal(err)
	}
	r.finish()
	got := out.String()
	for _, want := range []string{"loud", "ok  \tq", "FAIL p", "not of the tests", "The 2 slowest tests", "1.50s  TestA", "\n1 passed, 1 failed, 0 skipped\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(got, "quiet") || !r.broken {
		t.Errorf("broken %v:\n%s", r.broken, got)
	}
}

func TestTestThatNeverEnded(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := &report{out: &out, output: map[name][]string{}}
	r.take(event{Action: "run", Package: "p", Test: "TestSaysNothing"}) // and hangs
	r.finish()
	if !r.broken || !strings.Contains(out.String(), "TestSaysNothing did not end") {
		t.Errorf("it counts as passed: %s", out.String())
	}
}
