package devices

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// KindModelDatum is the ledger's kind of entry for PutModelDatum: it may concern every terminal.
const KindModelDatum = "model_datum.put"

// LoadTerminals returns every device that may speak, as gateways ask.
func LoadTerminals(ctx context.Context, q Querier) (map[Serial]Terminal, error) {
	return terminals(ctx, q, `SELECT serial, mac, d.model, coalesce(m.datum, 0::smallint) FROM device d JOIN device_credential c USING (device_id)
		LEFT JOIN model_datum m ON m.model = d.model
		WHERE c.revoked_at IS NULL AND d.revoked_at IS NULL ORDER BY serial, device_credential_id`)
}

// TerminalsOf returns the same of some devices, after the ledger said that they changed (kinds device.*). A device that may
// not speak is there, without a secret.
func TerminalsOf(ctx context.Context, q Querier, devices ...id.Device) (map[Serial]Terminal, error) {
	return terminals(ctx, q, `SELECT serial, mac, d.model, coalesce(m.datum, 0::smallint) FROM device d
		LEFT JOIN device_credential c ON c.device_id = d.device_id AND c.revoked_at IS NULL AND d.revoked_at IS NULL
		LEFT JOIN model_datum m ON m.model = d.model
		WHERE d.device_id = ANY($1) ORDER BY serial, device_credential_id`, devices)
}

func terminals(ctx context.Context, q Querier, sql string, args ...any) (map[Serial]Terminal, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read terminals: %w", err)
	}
	out := map[Serial]Terminal{}
	var serial Serial
	var mac []byte
	var model string
	var datum Datum
	_, err = pgx.ForEachRow(rows, []any{&serial, &mac, &model, &datum}, func() error {
		t := out[serial]
		t.Model, t.Datum = model, datum
		if mac != nil {
			t.MACs = append(t.MACs, append([]byte(nil), mac...))
		}
		out[serial] = t
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read terminals: %w", err)
	}
	return out, nil
}

// PutModelDatum records in which datum a model of device gives its places. It holds for what is heard from now on; what is
// stored was converted when it came, and says from which.
func PutModelDatum(ctx context.Context, tx pgx.Tx, by id.Account, model string, d Datum, at time.Time) error {
	if _, err := tx.Exec(ctx, `INSERT INTO model_datum (model, datum, recorded_at, recorded_by) VALUES ($1, $2, $3, nullif($4::bigint, 0))
		ON CONFLICT (model) DO UPDATE SET datum = excluded.datum, recorded_at = excluded.recorded_at, recorded_by = excluded.recorded_by`,
		model, d, at, int64(by)); err != nil {
		return explain("record the datum of a model", err)
	}
	return ledger.Append(ctx, tx, ledger.Entry{At: at, Kind: KindModelDatum, Entity: "model_datum", EntityID: int64(d), Version: 1,
		Body: asJSON(map[string]any{"model": model, "datum": d.String()})})
}
