package geofence

import "time"

// Proximity rules keep somebody away from another person: a victim who consented, or who took part in the same offence
// (实施办法 25; R33). Near (接近) opens when both are certainly within reach of one another again and again. A recorded relation
// says who the other is and until when; without one the rule decides nothing.
const (
	Proximity RuleKind      = "proximity"
	Near      ViolationKind = "near"
)

func init() {
	kinds[Proximity] = &kindSpec{relation: true, company: true, finds: Near, fewest: 2, usual: func(p *Params) { p.People, p.Grace = 2, 5*time.Minute }}
}
