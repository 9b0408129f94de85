package broker

import (
	"log/slog"
	"strings"
	"testing"
)

// The lines are nats-server's own (v2.15.2). A test against the running server is in broker_test.go; this one is about
// what a client can put into them.
func TestViolationOf(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]Violation{
		`127.0.0.1:40022 - mid:7 - "WB-1" - Publish Violation - Subject "p.0.up.WB-2.fix"`: {
			Act: ActPublish, Client: "WB-1", Remote: "127.0.0.1:40022", Detail: "p.0.up.WB-2.fix"},
		`[::1]:40022 - mid:7 - "WB-1" - Subscription Violation - Subject "down.>", SID down.>`: {
			Act: ActSubscribe, Client: "WB-1", Remote: "[::1]:40022", Detail: "down.>"},
		`1.2.3.4:5 - mid:7 - "WB-1" - Subscription Violation Too Many Tokens - Subject "a.b", SID x`: {
			Act: ActSubscribe, Client: "WB-1", Remote: "1.2.3.4:5", Detail: "a.b"},
		`1.2.3.4:5 - mid:7 - "a\"b" - Publish Violation - Subject "x \" - Publish Violation - Subject \"y"`: {
			Act: ActPublish, Client: `a"b`, Remote: "1.2.3.4:5", Detail: `x " - Publish Violation - Subject "y`},
		`1.2.3.4:5 - mid:7 - Publish Violation - Subject "x"`: {Act: ActPublish, Remote: "1.2.3.4:5", Detail: "x"},
	} {
		got, ok := violationOf(line)
		if !ok || got != want {
			t.Errorf("%s\n read as %+v\n not     %+v", line, got, want)
		}
	}
	for _, line := range []string{"", "authentication error - User \"x\"", "Publish Violation", "JetStream failed"} {
		if v, ok := violationOf(line); ok {
			t.Errorf("%q taken for %+v", line, v)
		}
	}
	long, _ := violationOf(`1.2.3.4:5 - mid:7 - "` + strings.Repeat("c", 1000) + `" - Publish Violation - Subject "` + strings.Repeat("s", 5000) + `"`)
	if len(long.Client) > 64 || len(long.Detail) > 256 {
		t.Errorf("a stranger makes us keep %d and %d bytes", len(long.Client), len(long.Detail))
	}
}

// nats-server ends its process on a fatal error; ours must go on to say what happened.
func TestFatalDoesNotEndTheProcess(t *testing.T) {
	t.Parallel()
	var said string
	l := &logger{log: slog.New(slog.DiscardHandler), violate: func(Violation) {}, fatal: func(s string) { said = s }}
	l.Fatalf("Unable to listen for MQTT connections: %v", "in use")
	if !strings.Contains(said, "in use") {
		t.Errorf("said %q", said)
	}
}
