package geofence

import (
	"time"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

// Evidence is what a violation was decided on: what a court would ask.
type Evidence struct {
	Fixes      []Mark        `json:"fixes,omitempty"`
	Class      devices.Class `json:"class"`
	Kind       RuleKind      `json:"rule_kind"`
	Basis      string        `json:"legal_basis"`
	DocumentNo string        `json:"document_no,omitempty"`
	Thresholds Params        `json:"thresholds"`
	At         time.Time     `json:"at"`                   // the event time of the deciding input
	Now        time.Time     `json:"now"`                  // domain time of the decision
	HeardAt    time.Time     `json:"heard_at,omitzero"`    // silence: since when
	ExpectedS  float64       `json:"expected_s,omitempty"` // silence: how often it is expected to speak
	Battery    *int          `json:"battery,omitempty"`    // per cent
	AskedAt    time.Time     `json:"asked_at,omitzero"`    // an unanswered check: when it was asked
	With       []id.Subject  `json:"with,omitempty"`       // who else was there
	Engine     string        `json:"engine"`
}
