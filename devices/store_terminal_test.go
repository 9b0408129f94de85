package devices_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
	"zhijiao/internal/crypto"
)

// R44: what a gateway converts from is recorded for a model of device; a revoked device has no say at a gateway.
func TestTerminals_R44(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := context.Background()
	var one, two devices.Enrolled
	b.must(func(tx pgx.Tx) (err error) {
		if one, err = devices.Enrol(ctx, tx, b.keys, devices.Enrolment{Serial: "T-1", Class: devices.Wristband, Model: "W100", At: start}); err != nil {
			return err
		}
		if two, err = devices.Enrol(ctx, tx, b.keys, devices.Enrolment{Serial: "T-2", Class: devices.Wristband, Model: "W200", At: start}); err != nil {
			return err
		}
		return devices.PutModelDatum(ctx, tx, 0, "W100", devices.GCJ02, start)
	})
	var snapshot devices.Terminals
	if _, known := snapshot.Find("T-1"); known || snapshot.Loaded() {
		t.Error("known before anything was read")
	}
	all, err := devices.LoadTerminals(ctx, b.pool)
	if err != nil {
		t.Fatal(err)
	}
	snapshot.Replace(all)
	mac := crypto.DeviceMAC(b.keys)
	for _, c := range []struct {
		serial devices.Serial
		secret string
		datum  devices.Datum
	}{{"T-1", one.Secret, devices.GCJ02}, {"T-2", two.Secret, 0}} {
		x, known := snapshot.Find(c.serial)
		if !known || !x.Knows(mac([]byte(c.secret))) || x.Knows(mac([]byte("guessed"))) || x.Datum != c.datum {
			t.Errorf("%s: %v, datum %v", c.serial, known, x.Datum)
		}
	}
	b.must(func(tx pgx.Tx) error {
		if err := devices.PutModelDatum(ctx, tx, 0, "W100", devices.BD09, start); err != nil {
			return err
		}
		return devices.Revoke(ctx, tx, two.ID, start)
	})
	some, err := devices.TerminalsOf(ctx, b.pool, one.ID, two.ID)
	if err != nil {
		t.Fatal(err)
	}
	snapshot.Put(some)
	if x, known := snapshot.Find("T-1"); !known || x.Datum != devices.BD09 {
		t.Errorf("the datum is %v", x.Datum)
	}
	if _, known := snapshot.Find("T-2"); known || len(some) != 2 {
		t.Error("a revoked device is known")
	}
	if b.ledger(devices.KindModelDatum) != 2 {
		t.Error("the ledger does not tell of it")
	}
}
