package limits

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Look says how much of everything that can run out is used now. Where the disk of the database is another machine's it is not
// among them: its own monitoring has to watch it.
func Look(ctx context.Context, pool *pgxpool.Pool) ([]Limit, error) {
	rows, err := pool.Query(ctx, `SELECT 'sequence:' || sequencename, coalesce(last_value, 0)::float8, max_value::float8 FROM pg_sequences WHERE schemaname = current_schema()
		UNION ALL SELECT 'transaction_ids', max(age(datfrozenxid))::float8, 2147483648 FROM pg_database WHERE datallowconn
		UNION ALL SELECT 'multixact_ids', max(mxid_age(datminmxid))::float8, 2147483648 FROM pg_database WHERE datallowconn
		UNION ALL SELECT 'connections', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::float8, current_setting('max_connections')::float8
		ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("look at limits: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (l Limit, err error) {
		err = r.Scan(&l.Name, &l.Used, &l.Capacity)
		return l, err
	})
	if err != nil {
		return nil, fmt.Errorf("look at limits: %w", err)
	}
	var dir string
	if pool.QueryRow(ctx, "SELECT setting FROM pg_settings WHERE name = 'data_directory'").Scan(&dir) == nil {
		if disk, ok := Disk("database_disk", dir); ok {
			list = append(list, disk)
		}
	}
	return list, nil
}

// Disk is how full the file system of a folder is; false where there is no such folder here.
func Disk(name, folder string) (Limit, bool) {
	var s syscall.Statfs_t
	if folder == "" || syscall.Statfs(folder, &s) != nil || s.Blocks == 0 {
		return Limit{}, false
	}
	block := float64(s.Bsize) //nolint:unconvert // its type is not the same everywhere
	return Limit{Name: name, Used: float64(s.Blocks-s.Bavail) * block, Capacity: float64(s.Blocks) * block}, true
}

// Record keeps today's samples, and says of each limit when it will be full. A day's sample is the last one taken.
func Record(ctx context.Context, pool *pgxpool.Pool, list []Limit, now time.Time) error {
	names, used, capacity := make([]string, len(list)), make([]float64, len(list)), make([]float64, len(list))
	for i, l := range list {
		names[i], used[i], capacity[i] = l.Name, l.Used, l.Capacity
	}
	_, err := pool.Exec(ctx, `INSERT INTO limit_sample (name, day, used, capacity) SELECT v.n, ($4::timestamptz AT TIME ZONE 'UTC')::date, v.u, v.c
		FROM unnest($1::text[], $2::float8[], $3::float8[]) AS v (n, u, c) ORDER BY 1
		ON CONFLICT (name, day) DO UPDATE SET used = excluded.used, capacity = excluded.capacity`, names, used, capacity, now)
	if err != nil {
		return fmt.Errorf("keep how full limits are: %w", err)
	}
	rows, err := pool.Query(ctx, "SELECT name, day::timestamptz, used FROM limit_sample WHERE name = ANY ($1) AND day > $2::date - 40 ORDER BY name, day", names, now)
	if err != nil {
		return fmt.Errorf("read how full limits were: %w", err)
	}
	samples := map[string][]Sample{}
	var name string
	var s Sample
	if _, err := pgx.ForEachRow(rows, []any{&name, &s.Day, &s.Used}, func() error { samples[name] = append(samples[name], s); return nil }); err != nil {
		return fmt.Errorf("read how full limits were: %w", err)
	}
	for i := range list {
		l := &list[i]
		l.Full = Forecast(samples[l.Name], l.Used, l.Capacity, now)
	}
	return nil
}
