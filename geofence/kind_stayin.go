package geofence

// stayIn: the subject stays inside the zone. Opens 越界.
type stayIn struct{ breach }

func init() {
	kinds[StayIn] = &kindSpec{calm: true, zones: []Purpose{Activity, Destination}, fewest: 2, kind: stayIn{breach{
		unsure: true,
		kind:   LeftZone,
		wrong: func(p *Params, m Mark) bool {
			return m.Verdict == Outside && m.Margin-m.Accuracy > centimetres(p.Band)
		},
		right: func(m Mark) bool { return m.Verdict == Inside },
		depth: func(m Mark) int64 { return m.Margin },
	}}}
}
