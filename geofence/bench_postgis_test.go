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
	var ours, theirs time.Duration
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
		list := make([]point, ourSize) // others, and more, so that it can be measured and none is in a cache
		for i := range list {
			list[i] = place()
		}
		start = time.Now()
		for _, p := range list {
			to = a.Locate(p.lon, p.lat, to[:0])
		}
		ours += time.Since(start)
	}
	we, they := rounds*ourSize/ours.Seconds(), rounds*size/theirs.Seconds()
	t.Logf("%d polygons, points uniform over the box: ST_Covers with GiST, batched, %.0f points/s; the atlas %.2f M points/s: %.0f times as many",
		len(polygons), they, we/1e6, we/they)
}
