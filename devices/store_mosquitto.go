package devices

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// MosquittoHashes returns for every device that may connect its newest secret as a Mosquitto's password file keeps it; "" where the
// secret was issued before such a hash was kept. A file has room for one secret a device: of several that are good it is the newest.
func MosquittoHashes(ctx context.Context, q Querier) (map[Serial]string, error) {
	rows, err := q.Query(ctx, `SELECT DISTINCT ON (serial) serial, coalesce(mosquitto, '') FROM device d JOIN device_credential c USING (device_id)
		WHERE c.revoked_at IS NULL AND d.revoked_at IS NULL ORDER BY serial, device_credential_id DESC`)
	if err != nil {
		return nil, fmt.Errorf("read hashes of secrets: %w", err)
	}
	out := map[Serial]string{}
	var serial Serial
	var hash string
	if _, err := pgx.ForEachRow(rows, []any{&serial, &hash}, func() error { out[serial] = hash; return nil }); err != nil {
		return nil, fmt.Errorf("read hashes of secrets: %w", err)
	}
	return out, nil
}
