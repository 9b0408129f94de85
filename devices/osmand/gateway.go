package osmand

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
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
	untraced prometheus.Counter
	places   chan struct{}
	wrong    *limits[string]         // wrong secrets, by address and whom they were shown for
	spoken   *limits[devices.Serial] // requests of trackers
	written  *limits[struct{}]       // traces
}

// New returns a gateway.
func New(o Options) *Gateway {
	g := &Gateway{o: o, traces: make(chan devices.Refused, traceQueue), places: make(chan struct{}, atOnce),
		wrong: newLimits[string](wrongRate, wrongBurst), spoken: newLimits[devices.Serial](trackerRate, trackerBurst), written: newLimits[struct{}](traceRate, traceBurst),
		untraced: prometheus.NewCounter(prometheus.CounterOpts{Name: "zhijiao_osmand_untraced_total",
			Help: "Refusals that left no trace in the quarantine, because there were too many or the database is away."}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zhijiao_osmand_requests_total", Help: "Requests of trackers over HTTP, by how they were answered."},
			[]string{"result"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zhijiao_osmand_refused_total", Help: "Requests of trackers over HTTP that were refused, by reason and field."},
			[]string{"reason", "field"})}
	for _, r := range []string{"stored", "refused", "forbidden", "limited", "busy", "unavailable"} {
		g.requests.WithLabelValues(r)
	}
	if o.Registry != nil {
		o.Registry.MustRegister(g.requests, g.refused, g.untraced)
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
				g.untraced.Add(float64(len(list)))
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
	m, size, f := read(w, r)
	if m.ID == "" && f != nil { // nobody to be refused as
		g.refuse(w, "", f, size)
		return
	}
	serial, secret := g.who(r, &m)
	// By address and tracker: behind one address of a mobile network are thousands of phones, of which one may have lost its secret.
	from := address(r) + " " + string(serial)
	if wait := g.wrong.wait(from); wait > 0 {
		g.later(w, http.StatusTooManyRequests, "limited", wait)
		return
	}
	t, ok := g.known(serial, secret, &m)
	if !ok {
		g.wrong.take(from)
		g.trace(serial, &devices.Fault{Reason: devices.NotPermitted, Field: "authentication"}, size)
		w.Header().Set("WWW-Authenticate", `Basic realm="zhijiao"`)
		g.answer(w, http.StatusUnauthorized, "forbidden", nil)
		return
	}
	if wait := g.spoken.take(serial); wait > 0 {
		g.later(w, http.StatusTooManyRequests, "limited", wait)
		return
	}
	d := t.Datum
	switch {
	case f != nil:
	case d == 0 && !m.Forwarded:
		d = devices.WGS84 // what Android and iOS give
	case d == 0 && m.placed(): // Traccar hands on what trackers give, and those made for China may shift
		f = fault(devices.UndeclaredDatum, "datum", "no datum is recorded for its model")
	}
	if f != nil {
		g.refuse(w, serial, f, size)
		return
	}
	select {
	case g.places <- struct{}{}:
		defer func() { <-g.places }()
	default:
		g.later(w, http.StatusServiceUnavailable, "busy", 5*time.Second)
		return
	}
	for _, f := range m.Faults { // the rest counts: what cannot be read of it would not be better another time
		g.trace(serial, f, size)
	}
	g.publish(w, r, serial, d, &m)
}

// publish hands what was said to the broker, and answers when it has it.
func (g *Gateway) publish(w http.ResponseWriter, r *http.Request, serial devices.Serial, d devices.Datum, m *Message) {
	ctx, cancel := context.WithTimeout(r.Context(), publishTimeout)
	defer cancel()
	for _, report := range m.reports(serial, d, g.o.Clock.Now()) {
		payload, err := devices.AppendJSON(nil, report)
		if err == nil {
			err = g.o.Publish(ctx, topic.Up(serial, report.Observations[0].Kind), payload)
		}
		if err != nil {
			g.o.Log.Warn("what a tracker said did not reach the broker, it will send again", "device", string(serial), "err", err)
			g.later(w, http.StatusServiceUnavailable, "unavailable", 5*time.Second)
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

// who says as whom the request wants to speak, and the secret it shows. With the token of a Traccar server a form is what one forwards
// (forward.type url).
func (g *Gateway) who(r *http.Request, m *Message) (serial devices.Serial, secret string) {
	bearer, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	user, password, basic := r.BasicAuth()
	switch {
	case isBearer:
		secret = bearer
	case basic:
		secret = password
	default:
		secret = r.URL.Query().Get("key")
	}
	if isBearer && g.forwarder(bearer) {
		m.Forwarded = true
	}
	if m.Forwarded {
		serial = prefixed(ForwardedPrefix, m.ID)
	} else if serial = prefixed(Prefix, m.ID); basic && prefixed(Prefix, user) != serial {
		secret = ""
	}
	if !topic.ValidSerial(string(serial)) {
		return "", ""
	}
	return serial, secret
}

func (g *Gateway) forwarder(token string) bool {
	return g.o.ForwardToken != "" && subtle.ConstantTimeCompare([]byte(token), []byte(g.o.ForwardToken)) == 1
}

// known says whether the secret lets the request speak as serial: its own, or the token of a Traccar server for one of those it speaks for.
func (g *Gateway) known(serial devices.Serial, secret string, m *Message) (devices.Terminal, bool) {
	t, known := g.o.Terminals.Find(serial)
	right := t.Knows(g.o.MAC([]byte(secret))) // also for nobody: how long it takes tells nothing
	if m.Forwarded {
		right = g.forwarder(secret)
	}
	return t, known && secret != "" && right
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

// later tells to come again.
func (g *Gateway) later(w http.ResponseWriter, status int, result string, wait time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	g.answer(w, status, result, nil)
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
	if g.written.take(struct{}{}) > 0 {
		g.untraced.Inc()
		return
	}
	select {
	case g.traces <- devices.Refused{ReceivedAt: g.o.Clock.Now(), Serial: serial, Kind: KindRequest, Outcome: devices.Rejected, Reason: f.Reason,
		Field: f.Field, Boot: -1, Seq: -1, Size: size}:
	default:
		g.untraced.Inc()
	}
}

// address is of the connection: this listener stands behind no proxy.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
