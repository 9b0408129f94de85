package enrolment

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/devices"
	"zhijiao/internal/topic"
)

const (
	// Path is the one there is.
	Path = "/enrol"
	// maxBody is far above a serial and a code.
	maxBody = 1 << 10
	// exchangeTimeout is how long one exchange may wait for the database.
	exchangeTimeout = 10 * time.Second
)

// Options are what a Handler is built of.
type Options struct {
	// Exchange gives the secret for a code, or devices.ErrCode.
	Exchange func(ctx context.Context, serial devices.Serial, code string) (string, error)
	Now      func() time.Time // machine time; time.Now when nil
	Log      *slog.Logger
	Register prometheus.Registerer // nil: no metrics
}

// Handler serves POST /enrol. What it refuses is always answered alike: it tells nobody which serials there are.
type Handler struct {
	o       Options
	limit   limiter
	results *prometheus.CounterVec
}

// New returns a handler.
func New(o Options) *Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &Handler{o: o, limit: limiter{seen: map[string]bucket{}}, results: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "zhijiao", Name: "enrolment_requests_total", Help: "Exchanges of enrolment codes that were asked for, by result.",
	}, []string{"result"})}
	for _, r := range []string{"exchanged", "refused", "malformed", "limited", "failed"} {
		h.results.WithLabelValues(r)
	}
	if o.Register != nil {
		o.Register.MustRegister(h.results)
	}
	return h
}

type request struct {
	Serial string `json:"serial"`
	Code   string `json:"code"`
}

type answer struct {
	Serial string `json:"serial,omitempty"`
	Secret string `json:"secret,omitempty"`
	Error  string `json:"error,omitempty"`
}

// ServeHTTP exchanges one code.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.URL.Path != Path {
		h.say(w, http.StatusNotFound, "", answer{Error: "not_found"})
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		h.say(w, http.StatusMethodNotAllowed, "", answer{Error: "method"})
		return
	}
	if wait := h.limit.take(address(r), h.o.Now()); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		h.say(w, http.StatusTooManyRequests, "limited", answer{Error: "limited"})
		return
	}
	var q request
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	body.DisallowUnknownFields()
	if err := body.Decode(&q); err != nil || !topic.ValidSerial(q.Serial) || q.Code == "" || len(q.Code) > 64 {
		h.say(w, http.StatusBadRequest, "malformed", answer{Error: "malformed"})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), exchangeTimeout)
	defer cancel()
	secret, err := h.o.Exchange(ctx, devices.Serial(q.Serial), q.Code)
	switch {
	case errors.Is(err, devices.ErrCode):
		h.o.Log.Warn("an enrolment code was refused", "client", q.Serial)
		h.say(w, http.StatusForbidden, "refused", answer{Error: "refused"})
	case err != nil:
		h.o.Log.Error("an enrolment code could not be exchanged", "client", q.Serial, "err", err)
		h.say(w, http.StatusServiceUnavailable, "failed", answer{Error: "unavailable"})
	default:
		h.o.Log.Info("a device fetched its secret", "client", q.Serial)
		h.say(w, http.StatusOK, "exchanged", answer{Serial: q.Serial, Secret: secret})
	}
}

func (h *Handler) say(w http.ResponseWriter, status int, result string, a answer) {
	if result != "" {
		h.results.WithLabelValues(result).Inc()
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(a) //nolint:errcheck // who asked has gone
}

// address is of the connection: this listener stands behind no proxy, so nobody's word is taken for another one.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
