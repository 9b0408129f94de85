package main

import (
	"strings"
	"testing"
)

// TestLawCommands_R90: the rule table is listed, corrected with an effective date and a citation, and an office is delegated to; what is wrong is
// refused by name. The audit of all of it verifies.
func TestLawCommands_R90_R106(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	run := func(args ...string) (string, error) {
		t.Helper()
		return program(t, append(args, "--data-dir", dir)...).result()
	}
	for _, c := range []struct {
		args []string
		want string
		fine bool
	}{
		{[]string{"migrate"}, "", true},
		{[]string{"officer", "add", "--login", "liu.wei", "--name", "刘伟", "--org", "天门市司法局", "--role", "commander"}, "", true},
		{[]string{"law", "list"}, "authority.term", true},
		{[]string{"law", "set", "leave.office", "--amount", "3"}, "citation", false},
		{[]string{"law", "set", "leave.office", "--amount", "3", "--from", "1 January", "--citation", "x", "--evidence", "statute"}, "is no date", false},
		{[]string{"law", "set", "leave.office", "--amount", "0", "--from", "2027-01-01", "--citation", "x", "--evidence", "statute"}, "is not 1 to 3699", false},
		{[]string{"law", "set", "leave.office", "--amount", "3", "--from", "2027-01-01", "--citation", "x", "--evidence", "hearsay"}, "none of statute", false},
		{[]string{"law", "set", "leave.of", "--amount", "3", "--from", "2027-01-01", "--citation", "x", "--evidence", "statute"}, "no period", false},
		{[]string{"law", "set", "leave.office", "--amount", "3", "--from", "2019-01-01", "--citation", "x", "--evidence", "statute"}, "not earlier", false},
		{[]string{"law", "set", "leave.office", "--amount", "3", "--from", "2027-01-01", "--citation", "鄂司发〔2023〕29号", "--evidence", "statute"}, "leave.office: 3 day from 2027-01-01", true},
		{[]string{"law", "list"}, "鄂司发〔2023〕29号", true},
		{[]string{"law", "delegate", "--by", "天门市司法局", "--to", "天门市司法局", "--document", "1"}, "delegates to the office under it", false},
		{[]string{"law", "delegate", "--by", "天门市司法局", "--to", "岳口", "--document", "1"}, "no organisation is called", false},
		{[]string{"audit", "verify", "--key", "x"}, "hexadecimal digits", false},
	} {
		out, err := run(c.args...)
		if (err == nil) != c.fine || !strings.Contains(out, c.want) {
			t.Errorf("%v: %v: %s", c.args, err, out)
		}
	}
}
