package geofence

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twpayne/go-geom/encoding/ewkb"

	"zhijiao/internal/pgtest"
)

// TestBenchPostGIS_R30 measures the atlas against ST_Covers with a GiST index, on the same polygons and points, in the same
// run, alternately. PostGIS is asked in batches, counts on its side, and works on one core too.
func TestBenchPostGIS_R30(t *testing.T) {
	needBench(t)
	list, _ := counties(t)
	polygons, _ := tiled(list, 32)
	tx, ctx := pgtest.Tx(t), t.Context()
	if _, err := tx.Exec(ctx, "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off; CREATE TEMP TABLE county (id int, geom geometry(MultiPolygon))"); err != nil {
		t.Fatal(err)
	}
	zones := make([]*Zone, len(polygons))
	rows := make([][]any, len(polygons))
	for i, mp := range polygons {
		var err error
		if zones[i], err = NewPolygon(ZoneID(i+1), 1, Interval{}, mp); err != nil {
			t.Fatal(err)
		}
		doc, err := ewkb.Marshal(mp, ewkb.NDR)
		if err != nil {
			t.Fatal(err)
		}
		rows[i] = []any{i + 1, doc}
	}
	batch := &pgx.Batch{}
	for _, row := range rows {
		batch.Queue("INSERT INTO county VALUES ($1, ST_GeomFromEWKB($2))", row...)
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "CREATE INDEX ON county USING gist (geom); ANALYZE county"); err != nil {
		t.Fatal(err)
	}
	a := NewAtlas(zones)
	r := rand.New(rand.NewPCG(8, 9))
	const rounds, size, ourSize = 5, 20_000, 400_000
	place := func() point {
		return point{a.minLon + r.Float64()*(a.maxLon-a.minLon), a.minLat + r.Float64()*(a.maxLat-a.minLat)}
	}
	var ours, batched, theirs time.Duration
	var to []*Zone
	for range rounds {
		lons, lats := make([]float64, size), make([]float64, size)
		for i := range lons {
			p := place()
			lons[i], lats[i] = p.lon, p.lat
		}
		start := time.Now()
		var count, sum int64
		if err := tx.QueryRow(ctx, `SELECT count(*), coalesce(sum(id), 0) FROM unnest($1::float8[], $2::float8[]) u (lon, lat) JOIN county ON ST_Covers(geom, ST_MakePoint(lon, lat))`,
			lons, lats).Scan(&count, &sum); err != nil {
			t.Fatal(err)
		}
		theirs += time.Since(start)
		for i := range lons {
			for _, z := range a.Locate(lons[i], lats[i], to[:0]) {
				count, sum = count-1, sum-int64(z.ID)
			}
		}
		if count != 0 || sum != 0 {
			t.Errorf("PostGIS finds %d more zones than we do", count)
		}
		lons, lats = make([]float64, ourSize), make([]float64, ourSize) // others, and more, so that it can be measured
		for i := range lons {
			p := place()
			lons[i], lats[i] = p.lon, p.lat
		}
		start, count = time.Now(), 0
		for i := range lons {
			to = a.Locate(lons[i], lats[i], to[:0])
			count += int64(len(to))
		}
		ours += time.Since(start)
		for i := range lons { // others again
			p := place()
			lons[i], lats[i] = p.lon, p.lat
		}
		start = time.Now()
		a.LocateAll(lons, lats, to, func(_ int, zones []*Zone) { count += int64(len(zones)) })
		batched += time.Since(start)
	}
	one, many, they := rounds*ourSize/ours.Seconds(), rounds*ourSize/batched.Seconds(), rounds*size/theirs.Seconds()
	t.Logf("%d polygons, points uniform over the box: ST_Covers with GiST, batched, %.0f points/s; the atlas, batched, %.2f M points/s: %.0f times as many; point by point %.2f M/s: %.0f times",
		len(polygons), they, many/1e6, many/they, one/1e6, one/they)
}
