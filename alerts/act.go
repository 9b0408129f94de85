package alerts

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"zhijiao/internal/id"
)

// Act is who does something to which alert, from where.
type Act struct {
	Alert   ID
	Account id.Account
	Scope   id.Org // root of what the account may see
	Version int    // of the alert as the actor saw it; 0: whatever it is
	Client  string // for the record, such as an address
}

// ErrNotFound means that there is no such alert, or none that the actor may see: the two are not told apart.
var ErrNotFound = errors.New("alerts: not found")

// Conflict means that the alert is no longer what the actor saw: somebody else was first (R58).
type Conflict struct {
	By      id.Account // who; 0: the platform
	At      time.Time
	State   State
	Version int
}

// Error says what it is now.
func (c *Conflict) Error() string {
	return fmt.Sprintf("alerts: it is %s by account %d since %s", c.State, c.By, c.At.Format(time.RFC3339))
}

// FieldError is something given that cannot be accepted.
type FieldError struct{ Field, Reason string }

// Error names the field.
func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// maxText bounds what one note may say, in bytes.
const maxText = 4000

// Conclude is how an alert is closed.
type Conclude struct {
	Conclusion Conclusion
	Text       string
	FollowUpOn time.Time // a date after today, as UTC midnight; required for Unverifiable
}

func (c *Conclude) check() error {
	var err error
	if c.Text, err = tidy(c.Text); err != nil {
		return err
	}
	switch {
	case !c.Conclusion.known():
		return &FieldError{"conclusion", "unknown"}
	case c.Conclusion == Unverifiable && c.FollowUpOn.IsZero():
		return &FieldError{"follow_up_on", "required"}
	case c.Conclusion == Other && c.Text == "":
		return &FieldError{"text", "required"}
	}
	return nil
}

// tidy is a text as it is kept: as it was typed, but for the space around it.
func tidy(text string) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case len(text) > maxText:
		return "", &FieldError{"text", "too_long"}
	case strings.ContainsRune(text, 0) || !utf8.ValidString(text): // what PostgreSQL cannot keep
		return "", &FieldError{"text", "malformed"}
	}
	return text, nil
}
