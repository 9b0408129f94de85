package broker

import (
	"fmt"
	"testing"
	"time"
)

func TestSameAttemptIsReportedOnceAMinuteWithItsNumber(t *testing.T) {
	t.Parallel()
	r := reporter{seen: map[attempt]*reported{}}
	start := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	said := 0
	var last Violation
	for i := range 300 { // five a second
		v := Violation{Act: ActConnect, Client: "WB-1", Remote: fmt.Sprintf("10.0.0.1:%d", i), Detail: "secret"}
		if r.due(&v, start.Add(time.Duration(i)*200*time.Millisecond)) {
			said++
		}
	}
	if said != 1 {
		t.Errorf("said %d times in a minute", said)
	}
	last = Violation{Act: ActConnect, Client: "WB-1", Detail: "secret"}
	if !r.due(&last, start.Add(time.Minute)) || last.Repeats != 299 {
		t.Errorf("after a minute: repeats %d", last.Repeats)
	}
	for _, other := range []Violation{{Act: ActPublish, Client: "WB-1", Detail: "secret"}, {Act: ActConnect, Client: "WB-2", Detail: "secret"},
		{Act: ActConnect, Client: "WB-1", Detail: "client_id"}} {
		if !r.due(&other, start) {
			t.Errorf("%+v taken for the same", other)
		}
	}
	for i := range 3 * reportMemory {
		v := Violation{Act: ActConnect, Client: fmt.Sprint("stranger ", i)}
		r.due(&v, start)
	}
	if len(r.seen) > reportMemory {
		t.Errorf("%d attempts remembered: a stranger decides how much", len(r.seen))
	}
}
