package devices_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
	"zhijiao/internal/crypto"
)

// R40: a terminal fetches its secret only while somebody lets it, and only the one that came first.
func TestRegistration_R40(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := context.Background()
	enrolled := b.device("jt808-13511221122", devices.Wristband)
	register := func(serial devices.Serial, make string, at time.Time) (secret string, err error) {
		err = b.tx(func(tx pgx.Tx) error {
			var err error
			_, secret, err = devices.Register(ctx, tx, b.keys, serial, make, at)
			return err
		})
		return secret, err
	}
	refused := func(what string, serial devices.Serial, make string, at time.Time, want error) {
		t.Helper()
		if secret, err := register(serial, make, at); !errors.Is(err, want) || secret != "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("unknown", "jt808-1", "M/W/1", start, devices.ErrUnknownDevice)
	refused("not open", enrolled.Serial, "M/W/1", start, devices.ErrNotOpen)
	open := func(at, until time.Time) error {
		return b.tx(func(tx pgx.Tx) error { return devices.OpenRegistration(ctx, tx, enrolled.ID, at, until) })
	}
	if open(start, start) == nil || open(start, start.Add(devices.MaxRegistration+1)) == nil {
		t.Error("for no time, or for ever")
	}
	if err := open(start, start.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	first, err := register(enrolled.Serial, "M/W/1", start.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	refused("another make", enrolled.Serial, "M/W/2", start.Add(2*time.Minute), devices.ErrNotOpen)
	again, err := register(enrolled.Serial, "M/W/1", start.Add(3*time.Minute)) // the answer was lost
	if err != nil {
		t.Fatal(err)
	}
	known, err := devices.TerminalsOf(ctx, b.pool, enrolled.ID)
	if err != nil {
		t.Fatal(err)
	}
	mac := crypto.DeviceMAC(b.keys)
	x := known[enrolled.Serial]
	if !x.Knows(mac([]byte(again))) || x.Knows(mac([]byte(first))) || x.Knows(mac([]byte(enrolled.Secret))) || x.Model != "m1" {
		t.Error("more than the newest secret is good")
	}
	refused("too late", enrolled.Serial, "M/W/1", start.Add(time.Hour), devices.ErrNotOpen)
	if err := open(start.Add(2*time.Hour), start.Add(3*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := register(enrolled.Serial, "M/W/2", start.Add(2*time.Hour)); err != nil {
		t.Errorf("opened anew, for the terminal that replaces it: %v", err)
	}
	b.must(func(tx pgx.Tx) error { return devices.Revoke(ctx, tx, enrolled.ID, start.Add(2*time.Hour)) })
	refused("revoked", enrolled.Serial, "M/W/2", start.Add(2*time.Hour), devices.ErrRevoked)
	if err := open(start.Add(2*time.Hour), start.Add(3*time.Hour)); !errors.Is(err, devices.ErrRevoked) {
		t.Error(err)
	}
}
