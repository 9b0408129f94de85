package jt808

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

func BenchmarkOpenReport(b *testing.B) {
	frame, err := Append(nil, Message{Header: Header{ID: Report, Phone: anna}, Body: AppendLocation(nil, tianmen())})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		m, f := Open(frame[1 : len(frame)-1])
		if f != nil {
			b.Fatal(f)
		}
		l, f := OpenLocation(m.Body)
		if f != nil {
			b.Fatal(f)
		}
		if _, f := l.Observation(Reading{}); f != nil {
			b.Fatal(f)
		}
	}
}

// TestBenchTerminals prints what terminals get through the gateway and the embedded broker, and what one that is silent costs. It
// judges nothing: the machine is shared.
func TestBenchTerminals(t *testing.T) {
	if os.Getenv("ZHIJIAO_TEST_BENCH") == "" {
		t.Skip("set ZHIJIAO_TEST_BENCH")
	}
	p := newPlace(t, func(o *Options) { o.Limits.Frames = 1e6 })
	const terminals, messages = 64, 500
	var all []*terminal
	for i := range terminals {
		phone := fmt.Sprintf("0139%08d", i)
		p.enrol(phone, nil)
		all = append(all, p.login(phone))
	}
	var plain float64
	round := func(name string, fixes int, poison bool, id ID, body func(n int) []byte) {
		start := time.Now()
		var wg sync.WaitGroup
		for _, a := range all {
			wg.Go(func() {
				for n := range messages {
					if poison && n%10 == 0 {
						a.write([]byte("~not a message at all~"))
					}
					if r := a.ask(id, body(n)); r.Result != Success {
						t.Error(r.Result)
					}
				}
			})
		}
		wg.Wait()
		per := float64(terminals*messages) / time.Since(start).Seconds()
		t.Logf("%s: %.0f messages/s, %.0f fixes/s, each answered after its PUBACK", name, per, per*float64(fixes))
		plain = per
	}
	one := func(n int) []byte { return AppendLocation(nil, at(tianmen(), noon.Add(time.Duration(n)*time.Second))) }
	var ratios []float64
	for range 3 {
		round("0x0200", 1, false, Report, one)
		alone := plain
		round("0x0200 and a tenth of poison", 1, true, Report, one)
		ratios = append(ratios, plain/alone)
	}
	slices.Sort(ratios)
	t.Logf("with poison %.2f of without, the middle of %.2f", ratios[1], ratios)
	round("0x0704 of 20", 20, false, Batch, func(n int) []byte { return AppendBatch(nil, slicesOf(tianmen(), 20), true) })

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const silent = 2000
	for i := range silent {
		phone := fmt.Sprintf("0138%08d", i)
		p.enrol(phone, nil)
		p.login(phone)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	t.Logf("a silent terminal: %d bytes, its own end included", (after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse)/silent)
}
