package alerts

import (
	"time"

	"zhijiao/devices"
	"zhijiao/geofence"
)

// Handling is a row of the handling table (分级处置表), as a page shows it.
type Handling struct {
	Kind        geofence.ViolationKind `json:"kind"`
	Channel     devices.Class          `json:"channel"`
	Class       Class                  `json:"class"`
	Tell        string                 `json:"tell"` // whether the subject is told first, and how (R127)
	Day         []string               `json:"day"`  // who has it, one after the other
	Night       []string               `json:"night"`
	Acknowledge int                    `json:"acknowledge_s"` // to be taken charge of within, seconds
	Escalate    *int                   `json:"escalate_s"`    // to the next on the route, seconds; nil: it stays
	Heals       bool                   `json:"heals"`
	Closing     string                 `json:"closing"` // what closing needs
	From        time.Time              `json:"from"`
}
