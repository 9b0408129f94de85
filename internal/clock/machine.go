package clock

import "time"

type live struct{}

// Live returns the machine's time as domain time: what a live deployment runs on.
func Live() Clock { return live{} }

func (live) Now() time.Time { return micros(time.Now()) }

func (l live) Read() Reading { return Reading{Now: l.Now(), Kind: Machine, Rate: 1} }

func (live) After(t time.Time) (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	timer := time.AfterFunc(time.Until(t), func() { ch <- struct{}{} })
	return ch, func() { timer.Stop() }
}

// micros is t as PostgreSQL keeps it.
func micros(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
