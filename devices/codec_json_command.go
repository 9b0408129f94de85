package devices

import (
	"encoding/json"
	"fmt"
	"time"

	"zhijiao/internal/id"
)

// CommandID is a row of command.
type CommandID int64

// CommandKind is what a device is told to do.
type CommandKind string

const (
	CommandCheck   CommandKind = "check"   // 信息化核查: answer with a fix until Due
	CommandLocate  CommandKind = "locate"  // send a satellite fix
	CommandText    CommandKind = "text"    // show a text
	CommandVibrate CommandKind = "vibrate" // make the wearer look
	// CommandInterval sets how often the device reports, in order to save its battery or to follow somebody closely.
	CommandInterval CommandKind = "interval"
)

// maxEvery is the longest interval in seconds: a week, as of a binding.
const maxEvery = 7 * 24 * 3600

// CommandMessage is 设备指令 as it goes down. It may arrive more than once: the id tells.
type CommandMessage struct {
	ID      CommandID
	Kind    CommandKind
	At      time.Time
	Expires time.Time
	Check   id.Check      // 0 unless Kind is check
	Due     time.Time     // zero unless Kind is check
	Text    string        // empty unless Kind is text
	Every   time.Duration // whole seconds; 0 unless Kind is interval
}

// AppendCommandJSON appends the payload of a command.
func AppendCommandJSON(dst []byte, m CommandMessage) []byte {
	w := writer{b: append(dst, `{"v":1`...)}
	w.integer("id", int64(m.ID))
	w.str("kind", string(m.Kind))
	w.instant("at", m.At)
	w.instant("expires", m.Expires)
	if m.Check != 0 {
		w.integer("check", int64(m.Check))
	}
	w.instant("due", m.Due)
	w.str("text", m.Text)
	if m.Every > 0 {
		w.integer("every", int64(m.Every/time.Second))
	}
	return append(w.b, '}')
}

// DecodeCommandJSON reads a command as a device does.
func DecodeCommandJSON(payload []byte) (CommandMessage, error) {
	var m struct {
		V       int         `json:"v"`
		ID      CommandID   `json:"id"`
		Kind    CommandKind `json:"kind"`
		At      time.Time   `json:"at"`
		Expires time.Time   `json:"expires"`
		Check   id.Check    `json:"check"`
		Due     time.Time   `json:"due"`
		Text    string      `json:"text"`
		Every   int64       `json:"every"`
	}
	if err := json.Unmarshal(payload, &m); err != nil {
		return CommandMessage{}, fmt.Errorf("command: %w", err)
	}
	if m.V != WireVersion {
		return CommandMessage{}, fmt.Errorf("command: version %d, not %d", m.V, WireVersion)
	}
	if m.Every < 0 || m.Every > maxEvery {
		return CommandMessage{}, fmt.Errorf("command: every %d s is no interval", m.Every)
	}
	return CommandMessage{m.ID, m.Kind, m.At, m.Expires, m.Check, m.Due, m.Text, time.Duration(m.Every) * time.Second}, nil
}
