package ledger

import (
	"encoding/json"
	"time"

	"zhijiao/internal/id"
)

// Entry is one committed change of a fact. Kind is entity.verb: violation.opened, alert.acknowledged, zone.put.
// Body never holds a name, a number or an address of a person.
type Entry struct {
	Pos       int64           `json:"pos"`
	At        time.Time       `json:"at"` // domain time at which it was decided
	Kind      string          `json:"kind"`
	Org       id.Org          `json:"org_id,omitempty"`
	Subject   id.Subject      `json:"subject_id,omitempty"`
	Entity    string          `json:"entity"`
	EntityID  int64           `json:"entity_id"`
	Version   int             `json:"version"`
	Body      json.RawMessage `json:"body,omitempty"`
	WrittenAt time.Time       `json:"-"` // machine time, for lag
}
