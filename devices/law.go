package devices

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// Errors that somebody branches on.
var (
	ErrUnknownDevice  = errors.New("no such device")
	ErrUnknownBinding = errors.New("no such binding, or it was corrected since")
	ErrSerialTaken    = errors.New("a device with this serial is enrolled already")
	ErrRevoked        = errors.New("the device is revoked")
	ErrNotOpen        = errors.New("nobody has let the terminal register")
	ErrCode           = errors.New("no such enrolment code, or it is used up")
	ErrLost           = errors.New("the device is lost")
	ErrNotLost        = errors.New("the device is not lost")
)

// LawError says which rule a change would break. The database is what refuses; this is how people are told.
type LawError struct {
	Rule     string // number of the requirement: R12
	Citation string
	Detail   string
	cause    error
}

// Error names the rule and what it rests on.
func (e *LawError) Error() string { return fmt.Sprintf("%s: %s (%s)", e.Rule, e.Detail, e.Citation) }

// Unwrap returns what the database said.
func (e *LawError) Unwrap() error { return e.cause }

// laws are the constraints of table binding, by name.
var laws = map[string]LawError{
	"binding_authority":            {Rule: "R01", Citation: "社区矫正法 29", Detail: "a wristband needs an approval that is valid when it is fitted"},
	"binding_device_id_class_fkey": {Rule: "R08", Citation: "实施办法 37", Detail: "a phone cannot be recorded as a wristband, nor a wristband as a phone"},
	"binding_subject":              {Rule: "R11", Citation: "社区矫正法 29、26", Detail: "the person already has a device of this class in that time"},
	"binding_device":               {Rule: "R12", Citation: "社区矫正法 29、26", Detail: "the device already speaks for somebody in that time"},
	"binding_phone_density":        {Rule: "R13", Citation: "社区矫正法 26、34", Detail: "a phone interval finer than the default needs a justification and a reviewer"},
	"binding_interval_s_check":     {Rule: "R13", Citation: "社区矫正法 26、34", Detail: "the expected interval lies between a second and a week"},
	"binding_finest_s_check":       {Rule: "R13", Citation: "社区矫正法 26、34", Detail: "the finest interval cannot be negative"},
	"binding_valid_check":          {Rule: "R11", Citation: "社区矫正法 29、26", Detail: "the interval of a binding begins and does not end before it begins"},
	"device_serial_check":          {Rule: "R40", Citation: "wire format", Detail: "a serial is 1 to 64 letters, digits, _ and -"},
	"device_class_check":           {Rule: "R08", Citation: "实施办法 37", Detail: "a device is a wristband or a phone"},
	"binding_subject_id_fkey":      {Rule: "R11", Citation: "社区矫正法 29、26", Detail: "there is no such person"},
	"binding_reviewer_id_fkey":     {Rule: "R13", Citation: "社区矫正法 26、34", Detail: "there is no such reviewer"},
	"binding_recorded_check":       {Rule: "R11", Citation: "社区矫正法 29、26", Detail: "the change was recorded before what it changes"},
}

// explain turns a violated constraint into the rule behind it, and says what we were doing.
func explain(doing string, err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		if law, ok := laws[pg.ConstraintName]; ok {
			law.cause = err
			return fmt.Errorf("%s: %w", doing, &law)
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}
