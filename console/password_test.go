package console

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestHashesAreCheckedByWhatStandsInThem(t *testing.T) {
	t.Parallel()
	ctx, a := t.Context(), newArgon()
	phc, err := a.hash(ctx, "trout-lamp-river-42")
	if err != nil || !strings.HasPrefix(phc, "$argon2id$v=19$m=65536,t=1,p=1$") {
		t.Fatalf("%q, %v", phc, err)
	}
	again, err := a.hash(ctx, "trout-lamp-river-42")
	if err != nil || again == phc {
		t.Errorf("no salt: %q, %v", again, err)
	}
	weaker := *a
	weaker.memory = 46 << 10
	old, err := weaker.hash(ctx, "trout-lamp-river-42")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		password, phc string
		ok, stale     bool
		err           error
	}{
		"fits":                  {"trout-lamp-river-42", phc, true, false, nil},
		"does not":              {"trout-lamp-river-43", phc, false, false, nil},
		"other parameters":      {"trout-lamp-river-42", old, true, true, nil},
		"empty":                 {"", "", false, false, errHash},
		"another algorithm":     {"x", "$2b$10$abcdefghijklmnopqrstuv", false, false, errHash},
		"another version":       {"x", strings.Replace(phc, "v=19", "v=16", 1), false, false, errHash},
		"a terabyte of memory":  {"x", strings.Replace(phc, "m=65536", "m=1073741824", 1), false, false, errHash},
		"no passes":             {"x", strings.Replace(phc, "t=1", "t=0", 1), false, false, errHash},
		"no key":                {"x", phc[:strings.LastIndex(phc, "$")+1], false, false, errHash},
		"not base64":            {"x", phc[:strings.LastIndex(phc, "$")+1] + "!!!", false, false, errHash},
		"cut short in the salt": {"x", phc[:40], false, false, errHash},
	} {
		ok, stale, err := a.check(ctx, c.password, c.phc)
		if ok != c.ok || stale != c.stale || !errors.Is(err, c.err) {
			t.Errorf("%s: %v %v %v", name, ok, stale, err)
		}
	}
}

// TestHashesWaitForTheirTurn: memory is bounded, and whoever gave up does not wait.
func TestHashesWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	a := newArgon()
	for range cap(a.slots) {
		a.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.hash(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestRandomPasswordsCanBeReadOut(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		p := RandomPassword()
		if len(p) != 27 || strings.ContainsAny(p, "lo01") || seen[p] {
			t.Fatalf("%q", p)
		}
		seen[p] = true
	}
}
