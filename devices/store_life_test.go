package devices_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
	"zhijiao/internal/crypto"
)

// use exchanges a code as the listener does: a refused try is committed.
func (b *bench) use(serial devices.Serial, code string, at time.Time) (string, error) {
	b.Helper()
	var secret string
	var refused error
	b.must(func(tx pgx.Tx) error {
		var err error
		if secret, err = devices.UseCode(context.Background(), tx, b.keys, serial, code, at); errors.Is(err, devices.ErrCode) {
			refused, err = err, nil
		}
		return err
	})
	return secret, refused
}

// good says which of the secrets may connect.
func (b *bench) good(e devices.Enrolled, secrets ...string) []bool {
	b.Helper()
	all, err := devices.TerminalsOf(context.Background(), b.pool, e.ID)
	if err != nil {
		b.Fatal(err)
	}
	out := make([]bool, len(secrets))
	for i, s := range secrets {
		out[i] = all[e.Serial].Knows(crypto.DeviceMAC(b.keys)([]byte(s)))
	}
	return out
}

func (b *bench) code(e devices.Enrolled, at, until time.Time) (code string, err error) {
	err = b.tx(func(tx pgx.Tx) (err error) {
		code, err = devices.MakeCode(context.Background(), tx, b.keys, e.ID, at, until)
		return err
	})
	return code, err
}

// R40: a code is good once, for its time, for its device, and not after five wrong ones; it is in no table.
func TestEnrolmentCode_R40(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e, other := b.device("WB-1", devices.Wristband), b.device("WB-2", devices.Wristband)
	quarter := start.Add(15 * time.Minute)
	code, err := b.code(e, start, quarter)
	if err != nil {
		t.Fatal(err)
	}
	var inTables int
	b.scan(&inTables, `SELECT count(*) FROM (SELECT l::text AS x FROM ledger l UNION ALL SELECT c::text FROM enrolment_code c) AS t WHERE x LIKE '%' || $1 || '%'`, code)
	if inTables != 0 {
		t.Error("the code is in a table")
	}
	for what, try := range map[string]func() (string, error){
		"another's": func() (string, error) { return b.use(other.Serial, code, start) },
		"unknown":   func() (string, error) { return b.use("WB-3", code, start) },
		"wrong":     func() (string, error) { return b.use(e.Serial, "00000-00000", start) },
		"late":      func() (string, error) { return b.use(e.Serial, code, quarter) },
	} {
		if secret, err := try(); !errors.Is(err, devices.ErrCode) || secret != "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	secret, err := b.use(e.Serial, " "+strings.ToLower(strings.ReplaceAll(code, "-", "")), start.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if g := b.good(e, secret, e.Secret); !g[0] || g[1] {
		t.Errorf("new and earlier secret: %v", g)
	}
	if _, err := b.use(e.Serial, code, start.Add(time.Minute)); !errors.Is(err, devices.ErrCode) {
		t.Error("used twice")
	}
	if code, err = b.code(e, start, quarter); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := b.use(e.Serial, "00000-00000", start); !errors.Is(err, devices.ErrCode) {
			t.Fatal(err)
		}
	}
	if _, err := b.use(e.Serial, code, start); !errors.Is(err, devices.ErrCode) {
		t.Error("good after five wrong ones")
	}
	if n := b.ledger("device.code_refused"); n != 6 {
		t.Errorf("%d refusals in the ledger", n)
	}
	if _, err := b.code(e, start, start.Add(devices.MaxCode+1)); err == nil {
		t.Error("a code for ever")
	}
	b.must(func(tx pgx.Tx) error { return devices.Revoke(context.Background(), tx, other.ID, start) })
	if _, err := b.code(other, start, quarter); !errors.Is(err, devices.ErrRevoked) {
		t.Error(err)
	}
}

// R40: what a secret replaces ends when the new one is used, and otherwise after the overlap; never before.
func TestRotation_R40(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := context.Background()
	mac := crypto.DeviceMAC(b.keys)
	rotate := func(e devices.Enrolled, at time.Time) (secret string) {
		b.must(func(tx pgx.Tx) (err error) {
			secret, err = devices.Rotate(ctx, tx, b.keys, e.ID, at, time.Hour)
			return err
		})
		return secret
	}
	used := func(e devices.Enrolled, secret string, want bool) {
		t.Helper()
		b.must(func(tx pgx.Tx) error {
			got, err := devices.SecretUsed(ctx, tx, e.Serial, mac([]byte(secret)), start.Add(time.Minute))
			if got != want {
				t.Errorf("ended %v, want %v", got, want)
			}
			return err
		})
	}
	end := func(at time.Time, want int) {
		t.Helper()
		b.must(func(tx pgx.Tx) error {
			n, err := devices.EndReplaced(ctx, tx, at)
			if n != want {
				t.Errorf("ended %d at %v, want %d", n, at, want)
			}
			return err
		})
	}
	a, c := b.device("WB-1", devices.Wristband), b.device("WB-2", devices.Wristband)
	first := rotate(a, start)
	used(a, a.Secret, false) // the earlier one again
	if g := b.good(a, a.Secret, first); !g[0] || !g[1] {
		t.Errorf("in the overlap: %v", g)
	}
	second := rotate(a, start.Add(30*time.Minute))
	used(a, first, false) // it was replaced before it was ever used
	used(a, second, true)
	used(a, second, false)
	if g := b.good(a, a.Secret, first, second); g[0] || g[1] || !g[2] {
		t.Errorf("after use: %v", g)
	}
	newer := rotate(c, start)
	end(start.Add(time.Hour-time.Second), 0)
	end(start.Add(time.Hour), 1)
	end(start.Add(2*time.Hour), 0)
	if g := b.good(c, c.Secret, newer); g[0] || !g[1] {
		t.Errorf("after the overlap: %v", g)
	}
	if n := b.ledger("device.secret_replaced"); n != 2 {
		t.Errorf("%d entries", n)
	}
}

// R40: a lost device is shown no text, fetches no secret, and what it says is astray whatever time it claims, until it is found; then
// what it kept of the time between.
func TestLoss_R40(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := context.Background()
	e := b.device("WB-1", devices.Wristband)
	tell := func(kind devices.CommandKind, at time.Time) error {
		return b.tx(func(tx pgx.Tx) error {
			_, err := devices.Ask(ctx, tx, b.org, devices.NewCommand{Device: e.ID, Kind: kind, Text: map[bool]string{true: "某某"}[kind == devices.CommandText],
				At: at, ExpiresAt: at.Add(time.Hour)})
			return err
		})
	}
	if err := errors.Join(tell(devices.CommandText, start), tell(devices.CommandLocate, start)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.code(e, start, start.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	lose := func(reason string, since time.Time) error {
		return b.tx(func(tx pgx.Tx) error { return devices.MarkLost(ctx, tx, e.ID, reason, since, start.Add(2*time.Hour)) })
	}
	find := func() error {
		return b.tx(func(tx pgx.Tx) error { return devices.MarkFound(ctx, tx, e.ID, start.Add(3*time.Hour)) })
	}
	astray := func(at time.Time) (is bool) {
		b.must(func(tx pgx.Tx) error {
			known, err := devices.LockForObserve(ctx, tx, []devices.Serial{e.Serial})
			if err == nil {
				is = known[e.Serial].Astray(&devices.Observation{At: at})
			}
			return err
		})
		return is
	}
	if astray(start) || lose(" ", start) == nil || lose("x", start.Add(3*time.Hour)) == nil || !errors.Is(find(), devices.ErrNotLost) {
		t.Error("lost without a reason, in the future, or found before")
	}
	if err := lose("丢失", start.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(lose("again", start), devices.ErrLost) || !astray(start) || !astray(start.Add(9*time.Hour)) {
		t.Error("while it is lost")
	}
	var texts, others int
	b.scan(&texts, `SELECT count(*) FROM command WHERE kind = 'text' AND state = 'withdrawn'`)
	b.scan(&others, `SELECT count(*) FROM command WHERE kind = 'locate' AND state = 'queued'`)
	if texts != 1 || others != 1 {
		t.Errorf("%d texts withdrawn, %d others wait", texts, others)
	}
	if tell(devices.CommandText, start.Add(2*time.Hour)) == nil || tell(devices.CommandVibrate, start.Add(2*time.Hour)) != nil {
		t.Error("a text was taken, or anything else refused")
	}
	if _, err := b.code(e, start, start.Add(time.Hour)); !errors.Is(err, devices.ErrLost) {
		t.Error(err)
	}
	if err := find(); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Duration]bool{time.Hour - 1: false, time.Hour: true, 3*time.Hour - 1: true, 3 * time.Hour: false} {
		if astray(start.Add(at)) != want {
			t.Errorf("timed %v after the start: astray %v", at, !want)
		}
	}
	if err := tell(devices.CommandText, start.Add(3*time.Hour)); err != nil {
		t.Error(err)
	}
	if b.ledger("device.lost") != 1 || b.ledger("device.found") != 1 {
		t.Error("the ledger")
	}
}
