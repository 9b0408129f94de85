package geofence

import (
	"time"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

// ViolationState is where a violation stands.
type ViolationState string

const (
	ViolationOpen      ViolationState = "open"
	ViolationClosed    ViolationState = "closed"
	ViolationWithdrawn ViolationState = "withdrawn"
)

// Kinds of ledger entries about violations.
const (
	ViolationOpenedEntry    = "violation.opened"
	ViolationAmendedEntry   = "violation.amended"
	ViolationClosedEntry    = "violation.closed"
	ViolationWithdrawnEntry = "violation.withdrawn"
)

// ViolationBody is the body of a ledger entry about a violation: what readers need to act on it, and no coordinate.
type ViolationBody struct {
	Violation   ViolationID    `json:"violation_id"`
	Subject     id.Subject     `json:"subject_id"`
	Org         id.Org         `json:"org_id"` // the supervising office when it opened
	Rule        RuleID         `json:"rule_id"`
	RuleVersion int            `json:"rule_version"`
	Zone        ZoneID         `json:"zone_id,omitempty"`
	ZoneVersion int            `json:"zone_version,omitempty"`
	Kind        ViolationKind  `json:"kind"`
	Channel     devices.Class  `json:"channel"`
	State       ViolationState `json:"state"`
	Version     int            `json:"version"`
	OpenedAt    time.Time      `json:"opened_at"`
	DecidedAt   time.Time      `json:"decided_at"`
	ClosedAt    time.Time      `json:"closed_at,omitzero"`
	Timed       bool           `json:"timed,omitempty"` // the rule binds only at some times (R17)
	Late        bool           `json:"late,omitempty"`
	Basis       string         `json:"legal_basis"`
	MarginCM    int64          `json:"margin_cm,omitempty"`   // signed distance of the deciding fix to the zone's edge
	AccuracyCM  int64          `json:"accuracy_cm,omitempty"` // its accuracy as used
	Fixes       int            `json:"fixes,omitempty"`       // how many fixes decided
	HeardAt     time.Time      `json:"heard_at,omitzero"`     // silence: since when
	MergedInto  ViolationID    `json:"merged_into,omitempty"` // withdrawn: the episode it turned out to be part of
	Why         *Why           `json:"why,omitempty"`         // amended or withdrawn: why the past was derived again
	// TakenInAt is machine time at which the deciding observation was taken in, or the tick fired: for fix-to-alert seconds.
	TakenInAt time.Time `json:"taken_in_at,omitzero"`
}
