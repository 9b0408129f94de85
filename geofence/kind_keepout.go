package geofence

import "time"

// keepOut: the subject stays outside the zone. Opens 进入禁止令限制区域. Who only passes through, fast and for a short time,
// or between two fixes, makes a passage: a lesser thing that opens and closes at once (R32).
type keepOut struct{ breach }

func init() {
	kinds[KeepOut] = &kindSpec{calm: true, zones: []Purpose{Prohibited, Attention}, usual: func(p *Params) { p.Grace, p.Band = 0, 0 }, kind: keepOut{breach{
		kind:   EnteredZone,
		wrong:  func(_ *Params, m Mark) bool { return m.Verdict == Inside },
		right:  func(m Mark) bool { return m.Verdict == Outside },
		depth:  func(m Mark) int64 { return -m.Margin },
		holds:  passing,
		before: passage,
	}}}
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
func passage(e *evaluation, r *Rule, rs *RuleState, z *Zone, to Mark) {
	p, channel := &r.Params, channelIndex(e.in.Binding.Class)
	recent, inside := e.s.Channel[channel].Recent, rs.Track[channel].Breach
	if rs.Open != "" || to.Verdict != Outside || !satellite(&to) || z.apartFrom(recent, to) {
		return
	}
	from, ok := lastOutside(p, z, recent, to.At.Add(-p.PassGap-p.PassDwell))
	waited := len(inside) >= p.Count
	if !waited && (!ok || len(inside) == 0 && to.At.Sub(from.At) > p.PassGap || !z.Crossed(from.lon(), from.lat(), to.lon(), to.lat())) {
		return
	}
	var way []Mark
	if ok {
		way = append(way, from)
	}
	way = append(append(way, inside...), to)
	e.open(r, PassedThrough, e.in.Binding.Class, way[0].At, withFixes(way...))
	e.close(r, PassedThrough, e.in.Binding.Class, to.At, withFixes(way...))
}

// tick opens an entry that was waited for when nothing more came: last seen inside is where the person is.
func (k keepOut) tick(e *evaluation, r *Rule, rs *RuleState) {
	k.breach.tick(e, r, rs)
	if at := k.waits(r, rs); at.IsZero() || at.After(e.at) || e.zone(r) == nil {
		return
	}
	for c := range rs.Track {
		if run := rs.Track[c].Breach; rs.Open == "" && len(run) >= r.Params.Count && !run[0].At.Add(r.Params.PassDwell).After(e.at) {
			k.opens(e, r, rs, classOf(c), run, e.at)
		}
	}
}

// waits is until when an entry is waited for that may be a passage; zero: none is.
func (k keepOut) waits(r *Rule, rs *RuleState) time.Time {
	var next soonest
	for c := range rs.Track {
		if run := rs.Track[c].Breach; rs.Open == "" && len(run) >= r.Params.Count && passing(&r.Params, run) {
			next.take(run[0].At.Add(r.Params.PassDwell))
		}
	}
	return next.Time
}

func (k keepOut) due(s *State, f *Facts, r *Rule, rs *RuleState, after time.Time) time.Time {
	next := soonest{k.breach.due(s, f, r, rs, after)}
	if rs != nil {
		next.take(k.waits(r, rs))
	}
	return next.Time
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
