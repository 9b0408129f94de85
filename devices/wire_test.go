package devices

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The wire document says every reason and every field there is, and its examples are good.
func TestWireDocument(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../docs/wire.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	for _, reason := range constantsOf(t, "outcome.go", "Reason") {
		if !strings.Contains(doc, "`"+reason+"`") {
			t.Errorf("reason %s is not explained", reason)
		}
	}
	for _, state := range CommandStates {
		if !strings.Contains(doc, "| `"+string(state)+"` |") {
			t.Errorf("state %s of a command is not explained", state)
		}
	}
	for word := range wireWords {
		if (itemField([]byte(word)) != 0 || outerField([]byte(word)) != 0) && !strings.Contains(doc, "`"+word+"`") {
			t.Errorf("field %s is not explained", word)
		}
	}
	examples(t, doc)
}

func examples(t *testing.T, doc string) {
	t.Helper()
	n := 0
	for _, m := range regexp.MustCompile("(?s)-t up/([^/ ]+)/([a-z]+) -m '(.*?)'").FindAllStringSubmatch(doc, -1) {
		n++
		if got := DecodeJSON(Raw{Serial(m[1]), Kind(m[2]), []byte(m[3]), received}, DecodeOptions{Key: testKey}); len(got.Faults) != 0 {
			t.Errorf("example for %s: %v", m[2], got.Faults)
		}
	}
	for _, m := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(doc, -1) {
		n++
		if got := decode(KindFix, m[1]); len(got.Faults) != 0 {
			t.Errorf("example: %v", got.Faults)
		}
	}
	for _, m := range regexp.MustCompile("(?s)```json command\n(.*?)```").FindAllStringSubmatch(doc, -1) {
		n++
		got, err := DecodeCommandJSON([]byte(m[1]))
		if err != nil || string(AppendCommandJSON(nil, got)) != strings.TrimSpace(m[1]) || reflect.ValueOf(got).IsZero() {
			t.Errorf("command: %+v, %v", got, err)
		}
	}
	if n != 6 {
		t.Errorf("%d examples were found", n)
	}
}

// constantsOf returns the values of the string constants of a type in a file of this package.
func constantsOf(t *testing.T, file, of string) []string {
	t.Helper()
	f, err := parser.ParseFile(gotoken.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := v.Type.(*ast.Ident); ok && id.Name == of {
			s, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, s)
		}
		return true
	})
	if len(out) < 10 {
		t.Fatalf("only %d constants of %s", len(out), of)
	}
	return out
}
