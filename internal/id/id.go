// Package id gives the identifiers that several houses share their own types, so that they cannot be swapped. All are
// 64-bit (R42). Identifiers of one house only (zones, rules, violations, alerts) live in that house.
package id

type (
	// Org is a row of org: a node of the organisation tree.
	Org int64
	// Officer is a row of officer.
	Officer int64
	// Account is a row of account: what logs in. Zero means the platform itself.
	Account int64
	// Subject is a row of subject: a person under supervision.
	Subject int64
	// Device is a row of device. What stands in MQTT topics is devices.Serial.
	Device int64
	// Binding is a row of binding.
	Binding int64
	// Check is a row of check_demand.
	Check int64
)

// Covering is the scope of an account that covers for others just now: its own organisation's part, and theirs. Scopes are organisations, and this
// is none: SQL tells them apart by the sign (org_subtree).
func Covering(a Account) Org { return -Org(a) }
