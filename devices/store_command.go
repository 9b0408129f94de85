package devices

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// NewCommand is a command to send to a device.
type NewCommand struct {
	Device    id.Device
	Kind      CommandKind
	Check     id.Check      // of CommandCheck
	Due       time.Time     // of CommandCheck
	Text      string        // of CommandText
	Every     time.Duration // of CommandInterval: whole seconds
	At        time.Time     // domain time
	ExpiresAt time.Time     // no attempt later than this
	By        id.Officer    // who asked; 0: the platform, or AskedAs
	AskedAs   string        // the account of the operating system of who asked at the command line
}

// maxText is the longest text in characters: in GBK it fits into a message of JT/T 808.
const maxText = 200

// check says what a command cannot say.
func (c *NewCommand) check() error {
	switch {
	case !c.ExpiresAt.After(c.At):
		return errors.New("a command expires after it is given")
	case c.Kind == CommandText && (strings.TrimSpace(c.Text) == "" || utf8.RuneCountInString(c.Text) > maxText || !utf8.ValidString(c.Text)):
		return fmt.Errorf("a text has 1 to %d characters", maxText)
	case c.Kind == CommandInterval && (c.Every < time.Second || c.Every > maxEvery*time.Second || c.Every%time.Second != 0):
		return errors.New("an interval is of whole seconds, from 1s to 168h")
	}
	return nil
}

// commandBody is what a command says besides its kind and times, as it is stored.
type commandBody struct {
	Check id.Check   `json:"check,omitempty"`
	Due   *time.Time `json:"due,omitempty"`
	Text  string     `json:"text,omitempty"`
	Every int64      `json:"every,omitempty"` // seconds
}

// Enqueue records commands; the Sender sends them after commit. The ids are in the order given.
func Enqueue(ctx context.Context, q Querier, list ...NewCommand) ([]CommandID, error) {
	if len(list) == 0 {
		return nil, nil
	}
	n := len(list)
	devices, kinds, bodies, at, expires := make([]id.Device, n), make([]string, n), make([]string, n), make([]time.Time, n), make([]time.Time, n)
	by, as := make([]*id.Officer, n), make([]string, n)
	for i, c := range list {
		if err := c.check(); err != nil {
			return nil, err
		}
		body, err := json.Marshal(commandBody{c.Check, orNull(c.Due), c.Text, int64(c.Every / time.Second)})
		if err != nil {
			return nil, fmt.Errorf("enqueue a command: %w", err)
		}
		by[i], as[i] = orNull(c.By), c.AskedAs
		devices[i], kinds[i], bodies[i], at[i], expires[i] = c.Device, string(c.Kind), string(body), c.At, c.ExpiresAt
	}
	// The sequence is drawn in the order of the input, before the rows are written.
	rows, err := q.Query(ctx, `INSERT INTO command (device_id, kind, body, created_at, expires_at, next_at, asked_by, asked_as)
		SELECT device_id, kind, body::jsonb, at, expires, at, asked_by, asked_as
		  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::bigint[], $7::text[]) WITH ORDINALITY
		       AS t (device_id, kind, body, at, expires, asked_by, asked_as, n) ORDER BY n RETURNING command_id`, devices, kinds, bodies, at, expires, by, as)
	if err != nil {
		return nil, fmt.Errorf("enqueue commands: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[CommandID])
	if err != nil {
		return nil, fmt.Errorf("enqueue commands: %w", err)
	}
	return ids, nil
}

// KindCommand is the ledger's kind of entry for a command that a person asked for.
const KindCommand = "command.asked"

// Ask enqueues a command that a person asked for, and records that and who in the ledger.
func Ask(ctx context.Context, tx pgx.Tx, org id.Org, c NewCommand) (CommandID, error) {
	ids, err := Enqueue(ctx, tx, c)
	if err != nil {
		return 0, err
	}
	return ids[0], ledger.Append(ctx, tx, ledger.Entry{At: c.At, Kind: KindCommand, Org: org, Entity: "command", EntityID: int64(ids[0]), Version: 1,
		Body: asJSON(map[string]any{"device": c.Device, "kind": c.Kind, "by": c.By, "expires": c.ExpiresAt.UTC()})})
}

// FinishCommands ends checks that were answered or are over: answered says which.
func FinishCommands(ctx context.Context, q Querier, at time.Time, answered bool, commands ...CommandID) error {
	if len(commands) == 0 {
		return nil
	}
	state := CommandWithdrawn
	if answered {
		state = CommandDone
	}
	// A device that answered has the command, whether it said so or not. Whose time ran out before it was sent has expired.
	_, err := q.Exec(ctx, `UPDATE command SET state = CASE WHEN $3 = 'withdrawn' AND expires_at <= $1 THEN CASE WHEN reason = '' THEN 'expired' ELSE 'failed' END ELSE $3 END,
			delivered_at = CASE WHEN $3 = 'done' THEN coalesce(delivered_at, $1) ELSE delivered_at END, reason = CASE WHEN $3 = 'done' THEN '' ELSE reason END, ended_at = $1, next_at = NULL, silent = false
		WHERE command_id = ANY($2) AND (ended_at IS NULL OR state IN ('expired', 'failed') AND $3 = 'done')`, at, commands, string(state))
	if err != nil {
		return fmt.Errorf("finish commands: %w", err)
	}
	return nil
}

// AnswerCommands records what devices said of commands. Only what is said of a device's own command counts; what has ended stays as it
// is, but that a device did a thing counts although its time has run out meanwhile. A check is not over because its device says so: the
// core takes the answer.
func AnswerCommands(ctx context.Context, q Querier, answers ...CommandAnswer) error {
	if len(answers) == 0 {
		return nil
	}
	type row struct{ first, last CommandAnswer }
	type key struct {
		command CommandID
		device  id.Device
	}
	rows := map[key]row{}
	var order []key
	for _, a := range answers { // the first that ends it counts, of those before the latest
		k := key{a.Command, a.Device}
		r, known := rows[k]
		switch {
		case !known:
			order = append(order, k)
			r = row{a, a}
		case r.last.Outcome == OutcomeReceived:
			r.last = a
		}
		rows[k] = r
	}
	slices.SortFunc(order, func(a, b key) int { return cmp.Compare(a.command, b.command) }) // locks in one order
	n := len(order)
	command := make([]CommandID, n)
	device, outcome, reason := make([]id.Device, n), make([]string, n), make([]string, n)
	first, last, deviceAt := make([]time.Time, n), make([]time.Time, n), make([]*time.Time, n)
	for i, k := range order {
		r := rows[k]
		command[i], device[i], outcome[i], reason[i] = k.command, k.device, string(r.last.Outcome), r.last.Reason
		first[i], last[i], deviceAt[i] = r.first.At, r.last.At, orNull(r.last.DeviceAt)
		if reason[i] == "" && (r.last.Outcome == OutcomeFailed || r.last.Outcome == OutcomeUnsupported) {
			reason[i] = outcome[i]
		}
	}
	_, err := q.Exec(ctx, `WITH v AS (SELECT command_id, v.device_id, first_at, last_at, v.device_at, v.reason,
			       CASE WHEN outcome IN ('failed', 'unsupported') THEN 'failed' WHEN outcome = 'done' AND c.kind <> 'check' THEN 'done' ELSE 'delivered' END AS state
			  FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[])
			       AS v (command_id, device_id, outcome, reason, first_at, last_at, device_at) JOIN command c USING (command_id))
		UPDATE command c SET state = v.state, reason = v.reason, delivered_at = coalesce(c.delivered_at, v.first_at), device_at = v.device_at,
			ended_at = CASE WHEN v.state <> 'delivered' THEN v.last_at END, next_at = CASE WHEN v.state = 'delivered' THEN c.next_at END,
			silent = c.silent AND v.state = 'delivered'
		FROM v WHERE c.command_id = v.command_id AND c.device_id = v.device_id AND (c.ended_at IS NULL OR c.state = 'expired' AND v.state <> 'delivered')`,
		command, device, outcome, reason, first, last, deviceAt)
	if err != nil {
		return fmt.Errorf("record answers to commands: %w", err)
	}
	return nil
}

// dueCommand is a command that is to be sent now.
type dueCommand struct {
	CommandMessage
	serial   Serial
	revoked  bool
	refused  bool      // the device has it and could not do it so far
	heardAt  time.Time // when we last heard from the device
	attempts int
	// what becomes of it
	sent   bool
	silent bool
	next   time.Time
	state  CommandState // in which it ends now; "": it goes on
	reason string
}

// wakeReturned makes due what was sent to devices that had been silent and have been heard since.
func wakeReturned(ctx context.Context, tx pgx.Tx, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE command c SET next_at = $1, silent = false FROM device_health h
		WHERE h.device_id = c.device_id AND c.silent AND c.next_at > $1 AND h.heard_at >= c.sent_at`, now)
	if err != nil {
		return fmt.Errorf("look for devices that came back: %w", err)
	}
	return nil
}

// takeDue locks the commands that are due; those another sender holds are left to it.
func takeDue(ctx context.Context, tx pgx.Tx, now time.Time, limit int) ([]dueCommand, error) {
	rows, err := tx.Query(ctx, `SELECT c.command_id, d.serial, d.revoked_at IS NOT NULL, c.kind, c.body, c.created_at, c.expires_at, c.attempts, c.reason <> '', h.heard_at
		  FROM command c JOIN device d USING (device_id) JOIN device_health h USING (device_id) WHERE c.next_at <= $1
		 ORDER BY c.next_at, c.command_id LIMIT $2 FOR UPDATE OF c SKIP LOCKED`, now, limit)
	if err != nil {
		return nil, fmt.Errorf("take due commands: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (dueCommand, error) {
		var c dueCommand
		var body commandBody
		var heardAt *time.Time
		err := row.Scan(&c.ID, &c.serial, &c.revoked, &c.Kind, &body, &c.At, &c.Expires, &c.attempts, &c.refused, &heardAt)
		c.Check, c.Text, c.Due, c.Every, c.heardAt = body.Check, body.Text, fromNull(body.Due), time.Duration(body.Every)*time.Second, fromNull(heardAt)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("take due commands: %w", err)
	}
	return out, nil
}

// saveAttempts records what became of due commands.
func saveAttempts(ctx context.Context, tx pgx.Tx, now time.Time, list []dueCommand) error {
	n := len(list)
	ids, sent, silent, next, state, reason := make([]CommandID, n), make([]bool, n), make([]bool, n), make([]*time.Time, n), make([]string, n), make([]string, n)
	for i, c := range list {
		ids[i], sent[i], silent[i], next[i], state[i], reason[i] = c.ID, c.sent, c.silent, orNull(c.next), string(c.state), c.reason
	}
	_, err := tx.Exec(ctx, `UPDATE command c SET next_at = v.next_at, attempts = c.attempts + v.sent::int, silent = v.silent,
			first_sent_at = CASE WHEN v.sent THEN coalesce(c.first_sent_at, $4) ELSE c.first_sent_at END,
			sent_at = CASE WHEN v.sent THEN $4 ELSE c.sent_at END,
			state = CASE WHEN v.state <> '' THEN v.state WHEN v.sent AND c.state = 'queued' THEN 'sent' ELSE c.state END,
			reason = CASE WHEN v.reason <> '' THEN v.reason ELSE c.reason END, ended_at = CASE WHEN v.state <> '' THEN $4::timestamptz END
		FROM unnest($1::bigint[], $2::boolean[], $3::timestamptz[], $5::text[], $6::text[], $7::boolean[]) AS v (command_id, sent, next_at, state, reason, silent)
		WHERE c.command_id = v.command_id`, ids, sent, next, now, state, reason, silent)
	if err != nil {
		return fmt.Errorf("save attempts of commands: %w", err)
	}
	return nil
}
