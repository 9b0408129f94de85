package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"zhijiao/cmd/zhijiao/config"
)

var rewrite = flag.Bool("rewrite", false, "write what is generated into the documentation")

// TestEveryKeyIsDocumented: the table of docs/operations.md is the table of the program.
func TestEveryKeyIsDocumented(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("| key | default | meaning |\n|---|---|---|\n")
	for _, k := range config.Keys() {
		def := "`" + k.Default + "`"
		if k.Default == "" {
			def = ""
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Name, def, strings.ReplaceAll(k.Doc, "|", "\\|"))
	}
	generated(t, "../../docs/operations.md", "keys", b.String())
}

// generated compares the part of a page between <!-- name --> and <!-- /name -->.
func generated(t *testing.T, path, name, want string) {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	open, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
	before, rest, ok := strings.Cut(string(page), open)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no part %s", path, name)
	}
	if got == want {
		return
	}
	if *rewrite {
		if err := os.WriteFile(path, []byte(before+open+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s: the part %s is not what the program says; go test ./cmd/zhijiao -run %s -rewrite writes it", path, name, t.Name())
}
