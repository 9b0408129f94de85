package geofence

import "time"

// keepOut: the subject stays outside the zone. Opens 进入禁止令限制区域. Who only passes through, fast and for a short time,
// or between two fixes, makes a passage: a lesser thing that opens and closes at once (R32).
type keepOut struct{ breach }

func init() {
	kinds[KeepOut] = keepOut{breach{
		kind:   EnteredZone,
		wrong:  func(_ *Params, m *Mark) bool { return m.Verdict == Inside },
		right:  func(m *Mark) bool { return m.Verdict == Outside },
		depth:  func(m *Mark) int64 { return -m.Margin },
		holds:  passing,
		before: passage,
	}}
}

// passing reports whether a run of fixes in the zone may yet turn out to be a passage: fast, and short.
func passing(p *Params, run []Mark) bool {
	first, last := &run[0], &run[len(run)-1]
	took := last.At.Sub(first.At)
	if took <= 0 || took >= p.PassDwell {
		return false
	}
	way := metres(first.lon(), first.lat(), last.lon(), last.lat())
	return centimetres(way/took.Seconds()) > centimetres(p.PassSpeed)
}

// passage opens and closes when a satellite fix outside follows another one outside, and either an entry was waited for
// in between or the straight way from one to the other leads through the zone.
func passage(e *evaluation, r *Rule, rs *RuleState, z *Zone, to *Mark) {
	p, channel := &r.Params, channelIndex(e.in.Binding.Class)
	recent, inside := e.s.Channel[channel].Recent, rs.Track[channel].Breach
	if rs.Open != "" || to.Verdict != Outside || !satellite(to) || z.apartFrom(recent, to) {
		return
	}
	longest := p.PassGap
	if len(inside) > 0 {
		longest += p.PassDwell
	}
	from, ok := lastOutside(p, z, recent, to.At.Add(-longest))
	if !ok || len(inside) < p.Count && !z.Crossed(from.lon(), from.lat(), to.lon(), to.lat()) {
		return
	}
	fixes := withFixes(append(append([]Mark{from}, inside...), *to)...)
	e.open(r, PassedThrough, e.in.Binding.Class, from.At, fixes)
	e.close(r, PassedThrough, e.in.Binding.Class, to.At, fixes)
}

// lastOutside is the last satellite fix that is clearly outside the zone, no older than since.
func lastOutside(p *Params, z *Zone, recent []Mark, since time.Time) (Mark, bool) {
	for i := len(recent) - 1; i >= 0 && !recent[i].At.Before(since); i-- {
		if satellite(&recent[i]) {
			if m := p.judged(z, recent[i]); m.Verdict == Outside {
				return m, true
			}
		}
	}
	return Mark{}, false
}
