package geofence

import (
	"time"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

// ZoneID, RuleID, ScheduleID, RelationID and ViolationID are rows of zone, rule, schedule, relation and violation.
type (
	ZoneID      int64
	RuleID      int64
	ScheduleID  int64
	RelationID  int64
	ViolationID int64
)

// RuleKind names a kind of rule in the registry.
type RuleKind string

const (
	StayIn  RuleKind = "stay_in"  // the subject stays inside the zone
	KeepOut RuleKind = "keep_out" // the subject stays outside the zone
	Silence RuleKind = "silence"  // the device is heard within its expected interval and a grace
)

// ViolationKind says what was found.
type ViolationKind string

const (
	LeftZone        ViolationKind = "left_zone"        // 越界
	EnteredZone     ViolationKind = "entered_zone"     // 进入禁止令限制区域
	PassedThrough   ViolationKind = "passed_through"   // 途经禁止令限制区域
	DeviceSilent    ViolationKind = "device_silent"    // 设备离线
	CheckUnanswered ViolationKind = "check_unanswered" // 核查未应答
)

// Interval is [From, Until); a zero Until is open.
type Interval struct{ From, Until time.Time }

// Contains reports whether t lies in the interval.
func (v Interval) Contains(t time.Time) bool {
	return !t.Before(v.From) && (v.Until.IsZero() || t.Before(v.Until))
}

// Rule is one version of 监管规则: what one subject is held to, where, on what legal basis and how long.
type Rule struct {
	ID         RuleID
	Version    int
	Subject    id.Subject
	Kind       RuleKind
	Zone       ZoneID // 0 for kinds without one
	Basis      string // legal_basis.code
	DocumentNo string
	Params     Params
	Schedule   ScheduleID // 0: always
	Valid      Interval
}

// BindingFact is the interval in which a device speaks for the subject, as evaluation needs it.
type BindingFact struct {
	ID       id.Binding
	Device   id.Device
	Class    devices.Class
	Subject  id.Subject
	Interval time.Duration // a fix is expected this often
	Finest   time.Duration // phone fixes closer than this are withheld (R13)
	Valid    Interval
}

// Facts is everything recorded that bears on one subject: what evaluation may know. Immutable.
type Facts struct {
	Subject     id.Subject
	Version     int64 // subject_state.facts at which it was read
	Bindings    []BindingFact
	Authorities []Interval                       // valid authorities (社区矫正法 29)
	Rules       []Rule                           // ordered by ID, Version
	Zones       map[ZoneID][]*Zone               // versions by validity, oldest first
	Schedules   map[ScheduleID][]ScheduleVersion // by validity, oldest first
	Calendar    *Calendar
	Attachments []AttachmentFact // what is known of the device being on the person, oldest first
	Floors      []FloorFact      // what the models of the subject's devices err by at least
	Suspensions []Suspension     // by when they begin
	Deaf        []Interval       // when we did not listen, oldest first, apart
}
