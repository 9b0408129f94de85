package clock

import "time"

// System is domain time on the machine's clock.
func System() Clock { return machine{} }

type machine struct{}

func (machine) Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func (m machine) Read() Reading { return Reading{Now: m.Now(), Kind: Machine, Rate: 1} }

func (m machine) After(t time.Time) (<-chan struct{}, func()) {
	fired := make(chan struct{})
	timer := time.AfterFunc(time.Until(t), func() { close(fired) })
	return fired, func() { timer.Stop() }
}
