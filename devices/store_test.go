package devices_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/devices"
	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
	"zhijiao/internal/pgtest"
)

var start = time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)

// bench is a database with an office, a head of the county department, and what a test adds.
type bench struct {
	*testing.T
	pool   *pgxpool.Pool
	keys   *crypto.Keys
	org    id.Org
	head   id.Officer
	people int
}

func setup(t *testing.T) *bench {
	t.Helper()
	b := &bench{T: t, pool: pgtest.Schema(t), keys: crypto.Random()}
	b.scan(&b.org, `INSERT INTO org (kind, name, short_name) VALUES ('county_department', '某县司法局', '某县') RETURNING org_id`)
	b.scan(&b.head, `INSERT INTO officer (org_id, name, kind, duty) VALUES ($1, '某某', 'enforcement', 'county_head') RETURNING officer_id`, b.org)
	return b
}

func (b *bench) scan(into any, sql string, args ...any) {
	b.Helper()
	if err := b.pool.QueryRow(context.Background(), sql, args...).Scan(into); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) exec(sql string, args ...any) {
	b.Helper()
	if _, err := b.pool.Exec(context.Background(), sql, args...); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) tx(do func(tx pgx.Tx) error) error {
	return pgx.BeginFunc(context.Background(), b.pool, do)
}

func (b *bench) must(do func(tx pgx.Tx) error) {
	b.Helper()
	if err := b.tx(do); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) device(serial devices.Serial, class devices.Class) devices.Enrolled {
	b.Helper()
	var e devices.Enrolled
	b.must(func(tx pgx.Tx) (err error) {
		e, err = devices.Enrol(context.Background(), tx, b.keys, devices.Enrolment{Serial: serial, Class: class, Model: "m1", Org: b.org, At: start})
		return err
	})
	return e
}

// subject is somebody under an authority of three months from start.
func (b *bench) subject(authority bool) id.Subject {
	b.Helper()
	b.people++
	var s id.Subject
	b.scan(&s, `INSERT INTO subject (local_no, category) VALUES ('T-' || $1::int, '02') RETURNING subject_id`, 1000+b.people)
	b.exec(`INSERT INTO subject_office (subject_id, org_id, valid, recorded) VALUES ($1, $2, tstzrange($3, NULL), tstzrange($3, NULL))`, s, b.org, start)
	b.exec(`INSERT INTO subject_state (subject_id) VALUES ($1)`, s)
	if authority {
		b.exec(`INSERT INTO authority (subject_id, ground, approver_id, document_no, valid, recorded, informed_at)
			VALUES ($1, 1, $2, '〔2026〕1号', tstzrange($3, $4), tstzrange($3, NULL), $3)`, s, b.head, start, start.AddDate(0, 3, 0))
	}
	return s
}

func (b *bench) bind(n devices.NewBinding) (id.Binding, error) {
	if n.Interval == 0 {
		n.Interval = time.Minute
	}
	if n.From.IsZero() {
		n.From = start
	}
	if n.At.IsZero() {
		n.At = n.From
	}
	var out id.Binding
	err := b.tx(func(tx pgx.Tx) (err error) {
		out, err = devices.Bind(context.Background(), tx, n)
		return err
	})
	return out, err
}

func (b *bench) refused(rule string, err error) {
	b.Helper()
	var law *devices.LawError
	if !errors.As(err, &law) || law.Rule != rule || law.Detail == "" || law.Citation == "" {
		b.Errorf("want %s refused, got %v", rule, err)
	}
}

func (b *bench) ledger(kind string) (n int) {
	b.Helper()
	b.scan(&n, `SELECT count(*) FROM ledger WHERE kind = $1`, kind)
	return n
}

func TestEnrolment(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	e := b.device("wb-0001", devices.Wristband)
	d, err := devices.Find(ctx, b.pool, "wb-0001")
	if err != nil || d.ID != e.ID || d.Class != devices.Wristband || d.Org != b.org || !d.EnrolledAt.Equal(start) || !d.RevokedAt.IsZero() {
		t.Fatalf("%+v, %v", d, err)
	}
	if len(e.Secret) != 32 || b.ledger("device.enrolled") != 1 {
		t.Errorf("secret of %d characters", len(e.Secret))
	}
	if err := b.tx(func(tx pgx.Tx) error {
		_, err := devices.Enrol(ctx, tx, b.keys, devices.Enrolment{Serial: "wb-0001", Class: devices.Phone, At: start})
		return err
	}); !errors.Is(err, devices.ErrSerialTaken) {
		t.Errorf("second enrolment: %v", err)
	}
	b.refused("R40", b.tx(func(tx pgx.Tx) error {
		_, err := devices.Enrol(ctx, tx, b.keys, devices.Enrolment{Serial: "a/b", Class: devices.Phone, At: start})
		return err
	}))
	if _, err := devices.Find(ctx, b.pool, "nobody"); !errors.Is(err, devices.ErrUnknownDevice) {
		t.Errorf("unknown device: %v", err)
	}
}

func TestEnrolAllKeepsTheOrder(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	b.must(func(tx pgx.Tx) error {
		list := []devices.Enrolment{{Serial: "z", Class: devices.Phone, At: start}, {Serial: "a", Class: devices.Wristband, At: start}}
		got, err := devices.EnrolAll(ctx, tx, b.keys, list)
		if err != nil {
			return err
		}
		for i, e := range got {
			d, err := devices.Find(ctx, tx, list[i].Serial)
			if err != nil || d.ID != e.ID || d.Class != list[i].Class {
				t.Errorf("%+v is %+v, %v", e, d, err)
			}
		}
		return nil
	})
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	e, other := b.device("wb-0001", devices.Wristband), b.device("ph-0001", devices.Phone)
	mac := crypto.DeviceMAC(b.keys)
	good := func(serial, secret string) bool {
		t.Helper()
		all, err := devices.Credentials(ctx, b.pool)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all[serial] {
			if bytes.Equal(m, mac([]byte(secret))) {
				return true
			}
		}
		return false
	}
	if !good("wb-0001", e.Secret) || good("wb-0001", other.Secret) || !good("ph-0001", other.Secret) {
		t.Fatal("secrets after enrolment")
	}
	var second, third string
	b.must(func(tx pgx.Tx) (err error) {
		second, err = devices.IssueSecret(ctx, tx, b.keys, e.ID, start, false)
		return err
	})
	if !good("wb-0001", e.Secret) || !good("wb-0001", second) {
		t.Fatal("two secrets while one is changed for the other")
	}
	b.must(func(tx pgx.Tx) (err error) {
		third, err = devices.IssueSecret(ctx, tx, b.keys, e.ID, start, true)
		return err
	})
	if good("wb-0001", e.Secret) || good("wb-0001", second) || !good("wb-0001", third) {
		t.Fatal("secrets after rotation")
	}
	b.must(func(tx pgx.Tx) error { return devices.RevokeSecrets(ctx, tx, e.ID, start) })
	some, err := devices.CredentialsOf(ctx, b.pool, e.ID, other.ID)
	if macs, there := some["wb-0001"]; err != nil || !there || macs != nil || len(some["ph-0001"]) != 1 {
		t.Fatalf("%v, %v", some, err)
	}
	b.must(func(tx pgx.Tx) error { return devices.Revoke(ctx, tx, other.ID, start.AddDate(0, 1, 0)) })
	if all, err := devices.Credentials(ctx, b.pool); err != nil || len(all) != 0 {
		t.Fatalf("%d devices may connect, %v", len(all), err)
	}
	if err := b.tx(func(tx pgx.Tx) error {
		_, err := devices.IssueSecret(ctx, tx, b.keys, other.ID, start, false)
		return err
	}); !errors.Is(err, devices.ErrRevoked) {
		t.Errorf("secret of a revoked device: %v", err)
	}
	if b.ledger("device.secret_issued") != 2 || b.ledger("device.secrets_revoked") != 1 || b.ledger("device.revoked") != 1 {
		t.Error("the ledger was not told")
	}
}

func TestSecretsAreInNoTable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := b.device("wb-0001", devices.Wristband)
	var n int
	b.scan(&n, `SELECT count(*) FROM device_credential WHERE position(convert_to($1, 'UTF8') IN mac) > 0`, e.Secret)
	if n != 0 {
		t.Error("the secret is stored")
	}
	if s := e.LogValue().String(); bytes.Contains([]byte(s), []byte(e.Secret)) {
		t.Error("the secret is logged")
	}
}
