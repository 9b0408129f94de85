package devices

// Outcome is what became of an observation. Received = Stored + Withheld + Rejected + Duplicate, always.
type Outcome string

const (
	Received  Outcome = "received"
	Stored    Outcome = "stored"
	Withheld  Outcome = "withheld"  // the law keeps it from us: counted, never kept
	Rejected  Outcome = "rejected"  // it is wrong: counted and quarantined
	Duplicate Outcome = "duplicate" // heard before: without effect
)

// Reason says why an observation was withheld or rejected: the metric label, the log field and the quarantine's column.
type Reason string

const (
	// Withheld.
	NoBinding   Reason = "no_binding"   // the device spoke for nobody at that time (R11)
	NoAuthority Reason = "no_authority" // a wristband fix timed outside a valid authority (社区矫正法 29, R04)
	FinerThan   Reason = "finer_than"   // a phone fix closer to another than approved, answering nothing (R13)
	NotEnrolled Reason = "not_enrolled" // timed before the device was enrolled or after it was revoked
	LostDevice  Reason = "lost_device"  // the device is, or was then, in other hands than its bearer's

	// Rejected.
	Malformed        Reason = "malformed"         // not JSON, or not the shape of the wire format
	WrongType        Reason = "wrong_type"        // a field of another type
	MissingField     Reason = "missing_field"     // a field that must be there
	BadVersion       Reason = "bad_version"       // a payload version we do not speak
	Oversized        Reason = "oversized"         // over the payload limit
	OutOfRange       Reason = "out_of_range"      // a number outside what the field can mean
	NullIsland       Reason = "null_island"       // exactly (0,0): a receiver without a fix
	UndeclaredDatum  Reason = "undeclared_datum"  // no datum, or one we do not know (R44)
	TimeInFuture     Reason = "time_in_future"    // later than we received it, beyond the tolerance
	TimeTooOld       Reason = "time_too_old"      // before anything could have been lawful: a clock that lost its date
	TimeWithoutZone  Reason = "time_without_zone" // an instant that does not say where
	UnknownDevice    Reason = "unknown_device"    // not in the registry
	IdentityMismatch Reason = "identity_mismatch" // payload names another device than its topic
	BadTopic         Reason = "bad_topic"         // a topic of no shape we know
	SequenceConflict Reason = "sequence_conflict" // a sequence heard before with another content: tampering (R41)
	Encrypted        Reason = "encrypted"         // by a key that we do not have: an app set to encrypt what it sends
	NoObservation    Reason = "no_observation"    // of a phone app: a message about something else than where and how it is
	Poison           Reason = "poison"            // could not be taken in after every attempt (R37)
	RateLimited      Reason = "rate_limited"      // more messages than a device may send
	NotPermitted     Reason = "not_permitted"     // refused by the broker: Field says the act (R40); never received, so never counted
)

// Fault is why one observation, or a whole message, cannot be taken in. Detail is for a person and never quotes a value.
type Fault struct {
	Reason Reason
	Field  string
	Detail string
}

// Error names the field and the reason.
func (f *Fault) Error() string {
	if f.Field == "" {
		return string(f.Reason) + ": " + f.Detail
	}
	return f.Field + ": " + string(f.Reason) + ": " + f.Detail
}
