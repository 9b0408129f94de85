package geofence

import "time"

// Gathering rules are about an office or a bureau, not about one person: Gathered (聚集) opens when so many of its subjects are
// certainly together, in a zone or, without one, anywhere. One is told for all: of the first of them by number, and the
// others are in the evidence.
const (
	Gathering RuleKind      = "gathering"
	Gathered  ViolationKind = "gathered"
)

func init() {
	kinds[Gathering] = &kindSpec{org: true, company: true, finds: Gathered, zones: []Purpose{Attention, Prohibited, Activity}, anywhere: true, fewest: 2,
		usual: func(p *Params) { p.People, p.Grace = 3, 5*time.Minute }}
}
