package alerts

import (
	"time"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/id"
)

// ID is a row of alert.
type ID int64

// Class is how much an alert asks of people (R49).
type Class string

const (
	Alarm    Class = "alarm"    // 报警
	Reminder Class = "reminder" // 提醒
	Lead     Class = "lead"     // 线索
)

// weight orders classes: an alarm weighs most.
func (c Class) weight() int {
	switch c {
	case Alarm:
		return 3
	case Reminder:
		return 2
	}
	return 1
}

// Weaker is the class that asks less: what policy wants and what the legal basis allows meet here (R15).
func Weaker(a, b Class) Class {
	if a.weight() < b.weight() {
		return a
	}
	return b
}

// State is where an alert stands.
type State string

const (
	Open         State = "open"
	Acknowledged State = "acknowledged" // 已受理
	Closed       State = "closed"       // 已办结
)

// Conclusion is what whoever closed an alert found (核查结论, R55).
type Conclusion string

const (
	Substantiated Conclusion = "substantiated" // 情况属实·转调查核实
	Justified     Conclusion = "justified"     // 有正当理由（补办）
	Approved      Conclusion = "approved"      // 已批准
	DeviceFault   Conclusion = "device_fault"  // 设备故障
	Drift         Conclusion = "drift"         // 定位漂移
	SignalLoss    Conclusion = "signal_loss"   // 信号中断
	Accidental    Conclusion = "accidental"    // 误触发
	Healed        Conclusion = "healed"        // 自行恢复
	Unverifiable  Conclusion = "unverifiable"  // 无法核实: needs a follow-up date
	Other         Conclusion = "other"         // 其他: needs a text
)

// settles reports whether a conclusion is about the whole episode, however it goes on: the reason is known, or it is being
// investigated. The others are about what was known when the alert was closed.
func (c Conclusion) settles() bool { return c == Substantiated || c == Justified || c == Approved }

// Conclusions are all of them, in the order shown.
var Conclusions = []Conclusion{Substantiated, Justified, Approved, DeviceFault, Drift, SignalLoss, Accidental, Healed, Unverifiable, Other}

func (c Conclusion) known() bool {
	for _, k := range Conclusions {
		if c == k {
			return true
		}
	}
	return false
}

// Alert is 警情: what people handle.
type Alert struct {
	ID             ID
	Violation      geofence.ViolationID
	Subject        id.Subject
	Org            id.Org
	Kind           geofence.ViolationKind
	Channel        devices.Class
	Class          Class
	Basis          string // legal_basis.code
	State          State
	Version        int
	OpenedAt       time.Time // since when the condition holds
	RaisedAt       time.Time
	DueAt          time.Time // to be taken charge of by
	Route          []string  // who has it, one after the other (R56)
	Step           int       // who of them has it now
	EscalatesAt    time.Time // to the next, unless somebody takes charge of it; zero: it stays
	ViolationState geofence.ViolationState
	Review         bool              // from backlog: review, not siren (R36)
	Outage         geofence.OutageID // it stands under this incident, while that goes on; 0: under none
	AcknowledgedBy id.Account
	AcknowledgedAt time.Time
	ClosedBy       id.Account // 0 on a closed alert: it healed by itself
	ClosedAt       time.Time
	Conclusion     Conclusion
	FollowUpOn     time.Time
}

// Body is an alert as ledger entries carry it: what a list needs, and no name.
type Body struct {
	Alert          ID                      `json:"alert_id"`
	Violation      geofence.ViolationID    `json:"violation_id"`
	Subject        id.Subject              `json:"subject_id"`
	Org            id.Org                  `json:"org_id"`
	Kind           geofence.ViolationKind  `json:"kind"`
	Channel        devices.Class           `json:"channel"`
	Class          Class                   `json:"class"`
	State          State                   `json:"state"`
	Version        int                     `json:"version"`
	OpenedAt       time.Time               `json:"opened_at"`
	RaisedAt       time.Time               `json:"raised_at"`
	DueAt          time.Time               `json:"due_at"`
	With           string                  `json:"with"` // who has it now: office+centre, watch, …
	EscalatesAt    time.Time               `json:"escalates_at,omitzero"`
	ViolationState geofence.ViolationState `json:"violation_state"`
	Review         bool                    `json:"review,omitempty"`
	AcknowledgedBy id.Account              `json:"acknowledged_by,omitempty"`
	Conclusion     Conclusion              `json:"conclusion,omitempty"`
}

func (a *Alert) body() Body {
	return Body{a.ID, a.Violation, a.Subject, a.Org, a.Kind, a.Channel, a.Class, a.State, a.Version, a.OpenedAt, a.RaisedAt, a.DueAt, a.Route[a.Step], a.EscalatesAt,
		a.ViolationState, a.Review, a.AcknowledgedBy, a.Conclusion}
}

// Event is one line of an alert's history.
type Event struct {
	Seq       int
	Act       string     // raised, amended, violation_closed, withdrawn, acknowledged, noted, closed, healed, viewed, held, released, escalated
	Account   id.Account // 0: the platform
	At        time.Time  // domain time
	WrittenAt time.Time  // machine time
	Client    string     // from where, such as an address
	Body      []byte     // JSON
}

// Kinds of ledger entries about alerts are alert. and the act.
const entryPrefix = "alert."
