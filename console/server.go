package console

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"zhijiao/alerts"
	"zhijiao/geofence"
	"zhijiao/internal/clock"
	"zhijiao/internal/crypto"
	"zhijiao/internal/ledger"
	"zhijiao/supervision"
)

// Options are what the console is made of.
type Options struct {
	Pool         *pgxpool.Pool // sessions, acts, and what goes to all websockets at once
	Reads        *pgxpool.Pool // what requests read: of the scope in their context alone (internal/rowsec)
	Clock        clock.Clock
	Listener     *ledger.Listener
	Supervision  *supervision.Store
	Alerts       *alerts.Store
	Keys         crypto.Provider // seals second factors
	Zones        *geofence.Store // zones, schedules, calendars, and what officers say of devices being on people
	Log          *slog.Logger
	Registerer   prometheus.Registerer
	Gatherer     prometheus.Gatherer
	Health       []Check
	Secure       bool            // served over TLS: cookies say so
	Version      string          // of the program
	Mode         string          // of the deployment: live or rehearsal
	AuditKeys    []crypto.Public // that seals of the ledger are verified with
	EvidenceFont string          // TrueType file for reports; empty: one that is found
	AuditAnchor  string          // file with copies of the seals
	SingleSignOn *SingleSignOn   // nil: none
	// RemoteMetrics lets /metrics be read from other machines; else from this one alone. It holds no personal data.
	RemoteMetrics bool
	// Starting reports true until the program has started whole.
	Starting func() bool
}

// Check is one thing /healthz looks at.
type Check struct {
	Name string
	// Run returns nil when all is well, or what is wrong in words that hold no personal data.
	Run func(ctx context.Context) error
}

// querier is a pool or a transaction.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Server is the console.
type Server struct {
	Options
	hasher  hasher
	metrics *metrics
	hub     *hub
	limiter *limiter
	decoy   string // a hash that fits nobody: an unknown name takes as long as a wrong password
	handler http.Handler
	health  health
	zones   zoneCache
}

// New builds the console. Run follows the ledger for its websockets; ServeHTTP serves.
func New(o Options) (*Server, error) {
	if o.Pool == nil || o.Reads == nil || o.Clock == nil || o.Supervision == nil || o.Alerts == nil || o.Zones == nil || o.Log == nil || o.Keys == nil {
		return nil, errors.New("console: a store, the clock or the log is missing")
	}
	s := &Server{Options: o, hasher: newArgon(), metrics: newMetrics(o.Registerer), limiter: newLimiter()}
	s.Log = o.Log.With("component", "console")
	s.hub = newHub(s)
	var err error
	if s.decoy, err = s.hasher.hash(context.Background(), RandomPassword()); err != nil {
		return nil, err
	}
	s.handler, err = s.build()
	return s, err
}

// ServeHTTP serves the API, the websocket and the front end.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Run keeps the websockets fed until ctx ends, then closes them.
func (s *Server) Run(ctx context.Context) error {
	return s.hub.run(ctx)
}

// build puts the routes behind what every request goes through.
func (s *Server) build() (http.Handler, error) {
	mux := http.NewServeMux()
	for _, rt := range s.routes() {
		mux.Handle(rt.method+" "+rt.path, s.guard(rt))
	}
	mux.HandleFunc("GET /healthz", s.healthz)
	if s.Gatherer != nil {
		mux.Handle("GET /metrics", s.nearby(promhttp.HandlerFor(s.Gatherer, promhttp.HandlerOpts{})))
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, problem{http.StatusNotFound, "not_found", "", nil})
	})
	assets, err := fs.Sub(webFiles, "web/dist")
	if err != nil {
		return nil, err
	}
	mux.Handle("/", s.frontEnd(assets))
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, problem{http.StatusForbidden, "cross_origin", "", nil})
	}))
	return s.headers(cross.Handler(mux)), nil
}

// nearby refuses requests from other machines, unless they are welcome.
func (s *Server) nearby(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host := net.ParseIP((&request{Request: r}).client()); !s.RemoteMetrics && (host == nil || !host.IsLoopback()) {
			s.fail(w, r, problem{http.StatusForbidden, "not_from_here", "", nil})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// contentPolicy lets nothing in but what this server serves, and nothing run or look but what comes in files: no inline script,
// no inline style, no worker from a blob. Images may be made in the page: maps and charts draw their own.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; " +
	"worker-src 'self'; manifest-src 'self'; media-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

func (s *Server) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "geolocation=(), camera=(), microphone=()")
		if s.Secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if strings.HasPrefix(r.URL.Path, "/api/") || r.URL.Path == "/ws" {
			h.Set("Cache-Control", "no-store")
		}
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		next.ServeHTTP(w, r)
	})
}

// frontEnd serves the built files, and the page itself for every path of the front end's own.
func (s *Server) frontEnd(assets fs.FS) http.Handler {
	files := http.FileServerFS(assets)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			s.fail(w, r, problem{http.StatusMethodNotAllowed, "method_not_allowed", "", nil})
			return
		}
		name := strings.TrimPrefix(r.URL.Path, "/")
		if f, err := fs.Stat(assets, name); name != "" && err == nil && !f.IsDir() {
			if strings.HasPrefix(name, "assets/") {
				w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			} else {
				w.Header().Set("Cache-Control", "no-cache")
			}
			files.ServeHTTP(w, r)
			return
		}
		if strings.HasPrefix(name, "assets/") { // of another build: a page in its place would only confuse
			http.NotFound(w, r)
			return
		}
		page, err := fs.ReadFile(assets, "index.html")
		if err != nil {
			http.Error(w, "the front end was not built into this program: make web", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(page)
	})
}

// requestTime is how long a request may take.
const requestTime = 20 * time.Second
