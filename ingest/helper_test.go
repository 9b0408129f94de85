package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/ingest"
	"zhijiao/internal/clock"
	"zhijiao/internal/crypto"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/topic"
)

const patience = 20 * time.Second

// now is domain time in these tests; it stands still.
var now = time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)

var key = crypto.NewDigestKey([]byte("a digest key for tests"))

type standing struct{}

func (standing) Now() time.Time      { return now }
func (standing) Read() clock.Reading { return clock.Reading{Now: now, Kind: clock.Stepped} }
func (standing) After(time.Time) (<-chan struct{}, func()) {
	return make(chan struct{}), func() {}
}

// recorder is an Observer that keeps what it was given. decide, when set, may refuse a batch.
type recorder struct {
	mu        sync.Mutex
	decide    func(ctx context.Context, b geofence.Batch) error
	batches   []geofence.Batch
	committed map[string]int // serial/seq → times committed
}

func (r *recorder) Observe(ctx context.Context, b geofence.Batch) error {
	r.mu.Lock()
	decide := r.decide
	r.mu.Unlock()
	if decide != nil {
		if err := decide(ctx, b); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.committed == nil {
		r.committed = map[string]int{}
	}
	r.batches = append(r.batches, b)
	for _, o := range b.Observations {
		r.committed[fmt.Sprintf("%s/%d", o.Serial, o.Seq)]++
	}
	return nil
}

func (r *recorder) set(decide func(context.Context, geofence.Batch) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.decide = decide
}

// has counts how many of serial's sequences 1..n are committed, and the most often one was.
func (r *recorder) has(serial string, n int) (committed, most int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := 1; i <= n; i++ {
		if c := r.committed[fmt.Sprintf("%s/%d", serial, i)]; c > 0 {
			committed++
			most = max(most, c)
		}
	}
	return committed, most
}

func (r *recorder) refusals() []geofence.Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []geofence.Refusal
	for _, b := range r.batches {
		out = append(out, b.Refusals...)
	}
	return out
}

func (r *recorder) observations() []devices.Observation {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []devices.Observation
	for _, b := range r.batches {
		out = append(out, b.Observations...)
	}
	return out
}

func (r *recorder) sizes() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []int
	for _, b := range r.batches {
		out = append(out, len(b.Observations)+len(b.Refusals))
	}
	return out
}

// received is the sum over what was opened, to be compared with what came out.
func (r *recorder) received() (n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.batches {
		for _, v := range b.Received {
			n += v
		}
	}
	return n
}

// database is what Ping asks.
type database struct{ away atomic.Bool }

var errAway = fmt.Errorf("connect: %w", context.DeadlineExceeded)

func (d *database) ping(context.Context) error {
	if d.away.Load() {
		return errors.New("no answer")
	}
	return nil
}

type setup struct {
	broker  *mqtttest.B
	rec     *recorder
	db      *database
	metrics *prometheus.Registry
	in      *ingest.Ingest
}

// start runs ingest against b with a recorder.
func start(t *testing.T, b *mqtttest.B, rec *recorder, change func(*ingest.Options)) *setup {
	t.Helper()
	s := &setup{broker: b, rec: rec, db: &database{}, metrics: prometheus.NewRegistry()}
	o := ingest.Options{
		Link:       mqttlink.Options{URL: b.URL, Password: mqtttest.ServiceSecret, BackoffMin: 20 * time.Millisecond, BackoffMax: 200 * time.Millisecond},
		Partitions: b.Partitions, Unmapped: b.Kind == mqtttest.Mosquitto,
		Decode: ingest.JSON(key), Observer: rec, Clock: standing{}, Ping: s.db.ping,
		Log: slog.New(slog.DiscardHandler), Register: s.metrics,
	}
	if change != nil {
		change(&o)
	}
	var err error
	if s.in, err = ingest.New(o); err != nil {
		t.Fatal(err)
	}
	s.in.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.in.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.in.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return s
}

// payload is a message of fixes with the sequences from..to.
func payload(from, to int) []byte {
	out := []byte(`{"v":1,"boot":1,"sent":"2026-11-23T14:00:00Z","datum":"WGS-84","obs":[`)
	for i := from; i <= to; i++ {
		if i > from {
			out = append(out, ',')
		}
		out = fmt.Appendf(out, `{"seq":%d,"at":%q,"lon":113.16,"lat":30.65,"acc":8.5,"method":"gnss"}`, i,
			now.Add(time.Duration(i-5000)*time.Second).Format(time.RFC3339))
	}
	return append(out, "]}"...)
}

// send publishes serial's sequences 1..n one a message and waits for the last acknowledgement.
func send(t *testing.T, l *mqttlink.Link, serial string, n int) {
	t.Helper()
	receipts := make([]mqttlink.Receipt, 0, n)
	for i := 1; i <= n; i++ {
		receipts = append(receipts, l.Send(topic.Up(devices.Serial(serial), devices.KindFix), 1, payload(i, i)))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, r := range receipts {
		if err := r.Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func counter(t *testing.T, r *prometheus.Registry, name string, label string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label != "" && (len(m.GetLabel()) == 0 || m.GetLabel()[0].GetValue() != label) {
				continue
			}
			switch {
			case m.GetCounter() != nil:
				return m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				return m.GetGauge().GetValue()
			case m.GetHistogram() != nil:
				return float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	t.Fatalf("no metric %s{%s}", name, label)
	return 0
}
