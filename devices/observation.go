package devices

import (
	"log/slog"
	"time"

	"zhijiao/internal/id"
)

// Serial is the identity of a device on the wire: [A-Za-z0-9_-]{1,64}. It stands in topics and is the MQTT user name and
// client id.
type Serial string

// Class tells the two legal bases apart: a wristband is an 电子定位装置 (社区矫正法 29), a phone an 信息化核查终端 (26).
type Class string

const (
	Wristband Class = "wristband"
	Phone     Class = "phone"
)

// Kind is what an observation is; it is the last level of its topic.
type Kind string

const (
	KindFix     Kind = "fix"     // one reported place
	KindCheckIn Kind = "checkin" // the subject's answer to a check, or a check-in by plan; may carry a place
	KindStatus  Kind = "status"  // the device's health; never a place
	KindUnknown Kind = "unknown" // a message that could not be opened

	// KindOwnTracks is what the topic of OwnTracks says. No observation has it: its payload says which of the others it is.
	KindOwnTracks Kind = "owntracks"
)

// Method is how a place was found. The values are stored.
type Method int16

const (
	MethodGNSS Method = 1
	MethodWiFi Method = 2
	MethodCell Method = 3
	MethodRF   Method = 4
)

// Datum is the coordinate system a place was sent in. What is stored is always WGS-84; CGCS2000 is treated as equal to it
// and kept apart as a tag. The values are stored.
type Datum int16

const (
	WGS84    Datum = 1
	CGCS2000 Datum = 2
	GCJ02    Datum = 3
	BD09     Datum = 4
)

// Strap is what a wristband says of its strap. The values are stored.
type Strap int16

const (
	StrapUnknown Strap = 0
	StrapClosed  Strap = 1
	StrapOpen    Strap = 2
	CaseOpen     Strap = 3 // the case was opened
)

// Place is where a fix says the device was: degrees, WGS-84, lon before lat.
type Place struct {
	Lon, Lat   float64
	Accuracy   float64 // radius in metres as claimed; 0 means not given
	Speed      float64 // metres a second; negative means not given
	Satellites int     // negative means not given
	Method     Method
	Datum      Datum // as sent
}

// LogValue keeps coordinates out of every log.
func (Place) LogValue() slog.Value { return slog.StringValue("place withheld from logs") }

// Health is what an observation says of the device itself. Pointers are nil where it said nothing.
type Health struct {
	Battery  *int // per cent
	Charging *bool
	Signal   *int // dBm
	Strap    Strap
	Cell     string // serving cell, as sent
	Operator string
	SIM      string
	LastGasp string // power_off, battery, reset
}

// Observation is one thing a device said. Zero Place means it gave none.
type Observation struct {
	Serial     Serial
	Kind       Kind
	Boot       int64     // boot counter; -1 where the device has none
	Seq        int64     // sequence number within the boot; derived from the digest where the device has none
	Digest     uint64    // keyed digest of the observation as sent: equal sequence, other digest is a conflict
	At         time.Time // fix time by the device's clock, UTC
	SentAt     time.Time // send time by the device's clock; zero means not given
	ReceivedAt time.Time // domain time at which we took it in
	Place      *Place
	Health     Health
	Answers    id.Check       // the check it answers; 0 means none
	Result     string         // of a check-in, as sent
	Command    CommandID      // the command it says something of; 0 means none
	Outcome    CommandOutcome // what it says of it
	Size       int            // bytes as sent
}

// Skew is receive time minus send time by the device's clock, and whether the device gave one.
func (o Observation) Skew() (time.Duration, bool) {
	if o.SentAt.IsZero() {
		return 0, false
	}
	return o.ReceivedAt.Sub(o.SentAt), true
}
