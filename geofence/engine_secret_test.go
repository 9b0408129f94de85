package geofence_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/id"
	"zhijiao/internal/pgtest"
)

func setAnswers(o *devices.Observation, check int64) { o.Answers = id.Check(check) }

// dump is every row of every table of the schema as text.
func dump(t testing.TB, pool *pgxpool.Pool) string {
	t.Helper()
	var all string
	// query_to_xml gives every column as it is printed, the ones of partitions with their parent.
	if err := pool.QueryRow(t.Context(), `SELECT string_agg(format('%s %s', c.relname,
			query_to_xml(format('SELECT t::text AS r FROM %I t ORDER BY 1', c.relname), true, true, '')::text), E'\n' ORDER BY c.relname)
		FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')`).Scan(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// spellings are the ways a coordinate may be written down: as a number, as 1e-7 degrees, as the bytes of both in hex.
func spellings(deg float64) []string {
	e7 := int32(math.Round(deg * 1e7))
	var le, be [8]byte
	binary.LittleEndian.PutUint64(le[:], math.Float64bits(deg))
	binary.BigEndian.PutUint64(be[:], math.Float64bits(deg))
	return []string{fmt.Sprintf("%.5f", deg), fmt.Sprint(e7), hex.EncodeToString(le[:]), hex.EncodeToString(be[:]),
		fmt.Sprintf("%08x", uint32(e7)), fmt.Sprintf("%.1f", deg*1e5)[:7]}
}

// lockedBuffer takes the logs of everybody.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// TestUnlawfulCoordinateIsNowhere sends places the law keeps from us, every way they can come, and looks for them in
// every table, in the states and in the logs.
func TestUnlawfulCoordinateIsNowhere(t *testing.T) {
	t.Parallel()
	logs := &lockedBuffer{}
	p := newPlaceOn(t, pgtest.Schema(t), slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug})))
	// After the approval ended; without a binding; by an unknown device; finer than approved; in a message that cannot be
	// opened; and twice under one sequence.
	until := noon.Add(10 * time.Minute)
	worn, carried := p.person(until), p.person(time.Time{})
	p.bind(p.device("W1", devices.Wristband), worn, time.Minute)
	p.rule(geofence.RuleSpec{Subject: worn, Kind: geofence.StayIn, Zone: p.zone, Basis: "leave_city"})
	p.bind(p.device("P1", devices.Phone), carried, 8*time.Hour)
	p.device("W2", devices.Wristband)
	p.observe(p.fix("W1", noon, 0), p.fix("P1", noon, 0))
	const lon, lat, cell = 113.7391846, 30.9127354, "460-00-98765-43211"
	secret := func(serial devices.Serial, at time.Time) devices.Observation {
		o := p.fix(serial, at, 0)
		o.Place.Lon, o.Place.Lat, o.Health.Cell = lon, lat, cell
		return o
	}
	p.clock.Step(noon.Add(time.Hour))
	payload := fmt.Appendf(nil, `{"v":1,"obs":[{"seq":7,"at":"x","lon":%v,"lat":%v,"cell":%q}]}`, lon, lat, cell)
	conflict := secret("W1", until.Add(time.Minute))
	conflict.Seq = 1
	checkIn := secret("W1", until.Add(2*time.Minute))
	checkIn.Kind = devices.KindCheckIn
	status := secret("W1", until.Add(3*time.Minute))
	status.Kind, status.Place = devices.KindStatus, nil
	b := batch(secret("W1", until.Add(time.Second)), secret("W2", noon), secret("nobody", noon), secret("P1", noon.Add(time.Minute)), conflict, checkIn, status)
	b.Received[devices.KindFix] += 3
	for _, serial := range []devices.Serial{"W1", "P1", "nobody"} {
		b.Refusals = append(b.Refusals, geofence.Refusal{Serial: serial, Kind: devices.KindFix, Fault: devices.Fault{Reason: devices.Malformed, Field: "at"},
			Boot: -1, Seq: 7, At: noon.Add(30 * time.Minute), Digest: 5, Size: len(payload), Payload: payload})
	}
	p.ok(p.engine.Observe(t.Context(), b))
	p.ok(p.engine.Observe(t.Context(), b)) // and again
	p.tick(noon.Add(2 * time.Hour))

	p.want(0, "quarantine WHERE NOT masked") // sealed would be kept as well
	everything := dump(t, p.pool)
	if !strings.Contains(everything, fmt.Sprint(int32(math.Round(homeLat*1e7)))) || !strings.Contains(everything, "no_authority") {
		t.Fatal("the dump does not hold what it must: it proves nothing")
	}
	logs.mu.Lock()
	everything += logs.b.String()
	logs.mu.Unlock()
	everything = strings.ToLower(everything)
	for _, word := range append(append(spellings(lon), spellings(lat)...), cell, hex.EncodeToString([]byte(cell)), hex.EncodeToString([]byte("113.7391846"))) {
		if at := strings.Index(everything, strings.ToLower(word)); at >= 0 {
			t.Errorf("%q is kept: …%s…", word, everything[max(0, at-120):min(len(everything), at+60)])
		}
	}
	p.balanced()
}
