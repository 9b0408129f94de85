package osmand

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/devices"
	"zhijiao/internal/clock"
	"zhijiao/internal/topic"
)

const (
	// Prefix begins the serials of trackers that speak for themselves, ForwardedPrefix of those a Traccar server speaks for.
	Prefix          = "osmand-"
	ForwardedPrefix = "traccar-"

	// KindRequest is the kind of a trace in the quarantine: a request that was refused before it was an observation.
	KindRequest devices.Kind = "osmand"

	maxBody        = 16 << 10
	publishTimeout = 10 * time.Second
	atOnce         = 2000 // requests that wait for the broker; more are told to come again

	traceQueue   = 256
	traceTimeout = 5 * time.Second

	failBurst   = 20 // wrong secrets of one address at once, then one in failEvery
	failEvery   = 3 * time.Second
	failAddress = 10_000 // addresses remembered
)

// Options are what a Gateway is built of.
type Options struct {
	// Publish hands a payload to the broker and returns when it is safe there.
	Publish   func(ctx context.Context, topic string, payload []byte) error
	Terminals *devices.Terminals
	MAC       func(secret []byte) []byte // keyed digest under which the registry keeps secrets
	// ForwardToken is shown by a Traccar server that forwards; empty: none may.
	ForwardToken string
	Clock        clock.Clock
	// Quarantine keeps the traces of what was refused.
	Quarantine func(ctx context.Context, list []devices.Refused) error
	Log        *slog.Logger
	Registry   prometheus.Registerer // nil: no metrics
}

// Gateway answers requests. Run writes the traces of what it refused.
type Gateway struct {
	o        Options
	requests *prometheus.CounterVec
	refused  *prometheus.CounterVec
	traces   chan devices.Refused
	places   chan struct{}
	mu       sync.Mutex
	failed   map[string]failures
}

// failures are wrong secrets of an address that are not forgotten yet.
type failures struct {
	n  float64
	at time.Time
}

// New returns a gateway.
func New(o Options) *Gateway {
	g := &Gateway{o: o, traces: make(chan devices.Refused, traceQueue), places: make(chan struct{}, atOnce), failed: map[string]failures{},
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zhijiao_osmand_requests_total", Help: "Requests of trackers over HTTP, by how they were answered."},
			[]string{"result"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zhijiao_osmand_refused_total", Help: "Requests of trackers over HTTP that were refused, by reason and field."},
			[]string{"reason", "field"})}
	for _, r := range []string{"stored", "refused", "forbidden", "limited", "busy", "unavailable"} {
		g.requests.WithLabelValues(r)
	}
	if o.Registry != nil {
		o.Registry.MustRegister(g.requests, g.refused)
	}
	return g
}

// Run writes traces until the context ends.
func (g *Gateway) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case one := <-g.traces:
			list := []devices.Refused{one}
			for len(list) < traceQueue && len(g.traces) > 0 {
				list = append(list, <-g.traces)
			}
			writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), traceTimeout)
			if err := g.o.Quarantine(writing, list); err != nil {
				g.o.Log.Error("refused requests left no trace", "requests", len(list), "err", err)
			}
			cancel()
		}
	}
}

// ServeHTTP answers one request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "method", http.StatusMethodNotAllowed)
		return
	}
	select {
	case g.places <- struct{}{}:
		defer func() { <-g.places }()
	default:
		w.Header().Set("Retry-After", "5")
		g.answer(w, http.StatusServiceUnavailable, "busy", nil)
		return
	}
	if wait := g.mustWait(address(r)); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
		g.answer(w, http.StatusTooManyRequests, "limited", nil)
		return
	}
	m, size, f := read(w, r)
	serial, ok := g.who(r, &m)
	if !ok {
		if m.ID == "" && f != nil { // nobody to be refused as
			g.refuse(w, "", f, size)
			return
		}
		g.fail(address(r))
		g.trace(serial, &devices.Fault{Reason: devices.NotPermitted, Field: "authentication"}, size)
		w.Header().Set("WWW-Authenticate", `Basic realm="zhijiao"`)
		g.answer(w, http.StatusUnauthorized, "forbidden", nil)
		return
	}
	if f != nil {
		g.refuse(w, serial, f, size)
		return
	}
	g.publish(w, r, serial, &m)
}

// publish hands what was said to the broker, and answers when it has it.
func (g *Gateway) publish(w http.ResponseWriter, r *http.Request, serial devices.Serial, m *Message) {
	d := devices.WGS84 // what Android, iOS and Traccar give
	if t, _ := g.o.Terminals.Find(serial); t.Datum != 0 {
		d = t.Datum
	}
	fixes, states := m.report(serial, d)
	ctx, cancel := context.WithTimeout(r.Context(), publishTimeout)
	defer cancel()
	for kind, report := range map[devices.Kind]devices.Report{devices.KindFix: fixes, devices.KindStatus: states} {
		if len(report.Observations) == 0 {
			continue
		}
		payload, err := devices.AppendJSON(nil, report)
		if err == nil {
			err = g.o.Publish(ctx, topic.Up(serial, kind), payload)
		}
		if err != nil {
			g.o.Log.Warn("what a tracker said did not reach the broker, it will send again", "device", string(serial), "err", err)
			w.Header().Set("Retry-After", "5")
			g.answer(w, http.StatusServiceUnavailable, "unavailable", nil)
			return
		}
	}
	g.answer(w, http.StatusOK, "stored", nil)
}

// read takes the request apart. What a form and the address line say counts together.
func read(w http.ResponseWriter, r *http.Request) (m Message, size int, f *devices.Fault) {
	size = len(r.URL.RawQuery)
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	size += len(raw)
	var large *http.MaxBytesError
	if errors.As(err, &large) || size > maxBody {
		return m, size, fault(devices.Oversized, "", "more than a request may hold")
	}
	if err != nil {
		return m, size, fault(devices.Malformed, "", "it ends too early")
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/json" || len(raw) > 0 && raw[0] == '{' {
		m, f = DecodeJSON(raw)
		return m, size, f
	}
	v, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return m, size, fault(devices.Malformed, "", "the address line cannot be read")
	}
	if len(raw) > 0 {
		form, err := url.ParseQuery(string(raw))
		if err != nil {
			return m, size, fault(devices.Malformed, "", "the form cannot be read")
		}
		for k, list := range form {
			v[k] = list
		}
	}
	m, f = DecodeForm(v)
	return m, size, f
}

// who says as whom the request may speak.
func (g *Gateway) who(r *http.Request, m *Message) (devices.Serial, bool) {
	if m.ID == "" {
		return "", false
	}
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if m.Forwarded {
		serial := prefixed(ForwardedPrefix, m.ID)
		_, known := g.o.Terminals.Find(serial)
		allowed := g.o.ForwardToken != "" && subtle.ConstantTimeCompare([]byte(bearer), []byte(g.o.ForwardToken)) == 1
		return serial, allowed && known
	}
	serial := prefixed(Prefix, m.ID)
	if !topic.ValidSerial(string(serial)) {
		return "", false
	}
	secret := bearer
	if user, password, given := r.BasicAuth(); given {
		if prefixed(Prefix, user) != serial {
			return serial, false
		}
		secret = password
	} else if secret == r.Header.Get("Authorization") || secret == "" {
		secret = r.URL.Query().Get("key")
	}
	t, known := g.o.Terminals.Find(serial)
	return serial, secret != "" && known && t.Knows(g.o.MAC([]byte(secret)))
}

func prefixed(prefix, tracker string) devices.Serial {
	return devices.Serial(prefix + strings.TrimPrefix(tracker, prefix))
}

// said is the body of an answer that is not 200.
type said struct {
	Error string `json:"error"`
	Field string `json:"field,omitempty"`
}

func (g *Gateway) answer(w http.ResponseWriter, status int, result string, body *said) {
	g.requests.WithLabelValues(result).Inc()
	if status == http.StatusOK {
		w.WriteHeader(status)
		return
	}
	if body == nil {
		body = &said{Error: result}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) //nolint:errcheck // who asked has gone
}

// refuse tells what is wrong, counts it and leaves a trace.
func (g *Gateway) refuse(w http.ResponseWriter, serial devices.Serial, f *devices.Fault, size int) {
	g.trace(serial, f, size)
	status := http.StatusBadRequest
	if f.Reason == devices.Oversized {
		status = http.StatusRequestEntityTooLarge
	}
	g.answer(w, status, "refused", &said{string(f.Reason), f.Field})
}

// trace has a refusal written. Of the request only the size is kept: a place may stand in it that the law keeps from us.
func (g *Gateway) trace(serial devices.Serial, f *devices.Fault, size int) {
	g.refused.WithLabelValues(string(f.Reason), f.Field).Inc()
	if serial == "" || !topic.ValidSerial(string(serial)) {
		return
	}
	select {
	case g.traces <- devices.Refused{ReceivedAt: g.o.Clock.Now(), Serial: serial, Kind: KindRequest, Outcome: devices.Rejected, Reason: f.Reason,
		Field: f.Field, Boot: -1, Seq: -1, Size: size}:
	default: // counted it is
	}
}

// mustWait is how long an address with too many wrong secrets waits.
func (g *Gateway) mustWait(from string) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	f, seen := g.failed[from]
	if !seen {
		return 0
	}
	left := f.n - time.Since(f.at).Seconds()/failEvery.Seconds()
	if left <= failBurst-1 {
		return 0
	}
	return time.Duration((left - failBurst + 1) * float64(failEvery))
}

func (g *Gateway) fail(from string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if len(g.failed) >= failAddress {
		clear(g.failed)
	}
	f := g.failed[from]
	if f.n -= now.Sub(f.at).Seconds() / failEvery.Seconds(); f.at.IsZero() || f.n < 0 {
		f.n = 0
	}
	g.failed[from] = failures{f.n + 1, now}
}

// address is of the connection: this listener stands behind no proxy.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
