package alerts

import (
	"time"

	"zhijiao/geofence"
)

// handling is a row of the handling table (分级处置表).
type handling struct {
	class       Class
	acknowledge time.Duration
	escalate    time.Duration // to the next on the route
	heals       bool
	day, night  []string
}

// unknownHandling is what a kind without a row gets: somebody looks at it soon. It is counted.
var unknownHandling = handling{class: Reminder, acknowledge: time.Hour, escalate: 2 * time.Hour, day: []string{Office, Centre}, night: []string{Watch}}

// classify decides the class of a new alert: what policy says of the kind and channel, but never more than the legal
// basis of the rule allows (R15).
func classify(h handling, allowed Class) Class { return Weaker(h.class, allowed) }

// raise makes the alert of a violation.
func raise(v *geofence.ViolationBody, h handling, allowed Class, at time.Time, off DayOff) Alert {
	a := Alert{
		Violation: v.Violation, Subject: v.Subject, Org: v.Org, Kind: v.Kind, Channel: v.Channel, Class: classify(h, allowed), Basis: v.Basis,
		State: Open, Version: 1, OpenedAt: v.OpenedAt, RaisedAt: at, ViolationState: v.State, Review: v.Late,
	}
	assign(&a, h, at, off)
	return a
}

// healsNow reports whether an alert closes itself because its cause ended: a reminder that nobody has taken charge of,
// never an alarm (R55).
func healsNow(a *Alert, h handling) bool { return h.heals && a.Class != Alarm && a.State == Open }
