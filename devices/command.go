package devices

import (
	"time"

	"zhijiao/internal/id"
)

// CommandState is how far a command has come.
type CommandState string

const (
	CommandQueued    CommandState = "queued"    // recorded
	CommandSent      CommandState = "sent"      // given to the broker at least once
	CommandDelivered CommandState = "delivered" // the device said that it has it
	CommandDone      CommandState = "done"      // the device said that it did it; a check: the core took the answer for one
	CommandFailed    CommandState = "failed"    // the device said that it cannot, or it may no longer be told anything
	CommandExpired   CommandState = "expired"   // its time ran out
	CommandWithdrawn CommandState = "withdrawn" // nobody needs it any more
)

// CommandStates are all of them, in the order in which a command goes through them.
var CommandStates = []CommandState{CommandQueued, CommandSent, CommandDelivered, CommandDone, CommandFailed, CommandExpired, CommandWithdrawn}

// CommandOutcome is what a device says of a command, as it stands on the wire.
type CommandOutcome string

const (
	OutcomeReceived    CommandOutcome = "received" // it has it and will do it
	OutcomeDone        CommandOutcome = "done"
	OutcomeFailed      CommandOutcome = "failed"      // it tried, and will not again
	OutcomeUnsupported CommandOutcome = "unsupported" // it never can
)

// Reasons of commands besides the outcomes above.
const (
	ReasonRefused = "refused" // a terminal said no; it is asked again until the command expires
	ReasonRevoked = "revoked" // the device may no longer be told anything
)

// CommandAnswer is what a device said of a command.
type CommandAnswer struct {
	Device   id.Device
	Command  CommandID
	Outcome  CommandOutcome
	Reason   string    // of OutcomeReceived: why it is nevertheless sent again; else the outcome tells
	At       time.Time // domain time at which we took it in
	DeviceAt time.Time // when it happened by the device's clock; zero: the wire does not tell
}
