package console

import (
	"context"
	"encoding/json"
	"slices"
	"sort"
	"sync"
	"time"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

const (
	ringSize     = 4096   // entries kept in memory for clients; who is further behind reads the ledger
	frameEntries = 500    // entries told in one frame, at most
	furthest     = 20_000 // entries behind which a snapshot is cheaper than catching up
	beatEvery    = time.Second
	lookTime     = 3 * time.Second // for one look at the database
	staleAfter   = 4 * time.Second // without a look, the beat says that the database is away
	examineEvery = 5 * time.Second
	recheckEvery = 2 * time.Second
	goodbyeTime  = 3 * time.Second
)

// Why a websocket ended: the reasons it is told, and the label of the metric.
const (
	reasonGone     = "gone"     // the client went
	reasonSlow     = "too_slow" // it did not take what it was sent (R60)
	reasonResync   = "resync"   // its position is none of ours, or too far back
	reasonSession  = "session_ended"
	reasonRights   = "rights_changed"
	reasonStopping = "server_stopping"
)

// hub follows the ledger once for all websockets of the process, and works out once a second what they all are told.
// Clients pull from it: nothing queues up for a slow one.
type hub struct {
	s         *Server
	writeTime time.Duration
	running   sync.WaitGroup // websockets

	mu       sync.Mutex
	clients  map[*client]struct{}
	closed   bool
	ring     []item // in order of pos
	pos      int64  // all entries up to here are in the ring, or before it
	beat     beat
	grown    chan struct{} // closed and renewed whenever there is something to tell
	places   places
	offices  bool // who supervises whom may have changed
	states   bool // what is open may have changed
	lookedAt time.Time
	heard    map[id.Org]time.Time // never changed: replaced
	lag      time.Duration
	examined []string
	missing  []int    // calendars
	stale    []string // sources
}

// beat says once a second that the stream lives, and what does not.
type beat struct {
	Type     string     `json:"type"`
	Now      time.Time  `json:"now"`
	Clock    clockView  `json:"clock"`
	Pos      int64      `json:"pos"`
	DataAt   *time.Time `json:"data_at"`
	LagS     float64    `json:"lag_s"`
	Degraded []string   `json:"degraded"`
	Missing  []int      `json:"missing_calendars"` // years whose days off are not recorded although rules go by them
	Stale    []string   `json:"stale_sources"`     // whose data is out of step
	n        int64
	heard    map[id.Org]time.Time
}

func newHub(s *Server) *hub {
	return &hub{s: s, writeTime: writeTime, clients: map[*client]struct{}{}, grown: make(chan struct{}), offices: true, states: true,
		places: places{known: map[id.Subject]*place{}, offices: map[id.Subject]id.Org{}, states: map[id.Subject]string{}}}
}

// run feeds the clients until ctx ends, then says goodbye to them.
func (h *hub) run(ctx context.Context) error {
	defer h.closeAll()
	head, err := ledger.Head(ctx, h.s.Pool)
	for err != nil {
		if !pause(ctx, time.Second) {
			return nil
		}
		head, err = ledger.Head(ctx, h.s.Pool)
	}
	h.mu.Lock()
	h.pos = head
	h.mu.Unlock()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { every(ctx, beatEvery, h.look) })
	wg.Go(func() { every(ctx, beatEvery, h.tell) })
	wg.Go(func() { every(ctx, examineEvery, h.examine) })
	wg.Go(func() { every(ctx, recheckEvery, h.recheck) })
	wg.Go(func() { every(ctx, sweepEvery, h.s.sweep) })
	err = ledger.Follow(ctx, h.s.Pool, h.s.Listener, head, func(entries []ledger.Entry) error { return h.take(ctx, entries) })
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// pause reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// every does something at once and then again and again, on machine time.
func every(ctx context.Context, interval time.Duration, do func(context.Context)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		do(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// take renders entries and wakes the clients. A database that is away is waited for: an entry is never skipped.
func (h *hub) take(ctx context.Context, entries []ledger.Entry) error {
	if slices.ContainsFunc(entries, func(e ledger.Entry) bool { return e.Entity == "zone" }) {
		h.s.zones.forget()
	}
	items, err := h.s.render(ctx, entries)
	for err != nil {
		h.s.Log.Warn("the stream waits for the database", "err", err)
		if !pause(ctx, time.Second) {
			return ctx.Err()
		}
		items, err = h.s.render(ctx, entries)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range entries {
		h.offices = h.offices || e.Entity == "subject" || e.Entity == "org"
		h.states = h.states || e.Entity == "violation"
	}
	h.ring = append(h.ring, items...)
	if n := len(h.ring); n > ringSize {
		h.ring = slices.Clone(h.ring[n-ringSize:])
	}
	h.pos = entries[len(entries)-1].Pos
	h.wake()
	return nil
}

// wake is called under the lock.
func (h *hub) wake() {
	close(h.grown)
	h.grown = make(chan struct{})
}

// after returns what a client at pos has not been told, at most a frame of it, and up to where that goes. Who is behind the
// ring reads the ledger: the same entries, rendered the same. ok is false where pos is none of ours, or too far back.
func (h *hub) after(ctx context.Context, pos int64) (items []item, until int64, ok bool, err error) {
	h.mu.Lock()
	head, ring := h.pos, h.ring
	h.mu.Unlock()
	if pos > head { // a snapshot may be ahead of this process; nothing is ahead of the ledger
		head, err = ledger.Head(ctx, h.s.Pool)
		return nil, pos, pos <= head, err
	}
	switch {
	case head-pos > furthest:
		return nil, pos, false, nil
	case pos == head:
		return nil, pos, true, nil
	case len(ring) > 0 && ring[0].pos <= pos+1:
		from := sort.Search(len(ring), func(i int) bool { return ring[i].pos > pos })
		items = ring[from:min(len(ring), from+frameEntries)]
	default:
		entries, err := ledger.Read(ctx, h.s.Pool, pos, frameEntries)
		if err != nil {
			return nil, pos, true, err
		}
		if items, err = h.s.render(ctx, entries); err != nil {
			return nil, pos, true, err
		}
	}
	if len(items) == 0 {
		return nil, head, true, nil
	}
	return items, items[len(items)-1].pos, true, nil
}

// state is what a client waits on: how far there is, the newest beat, and when it is woken.
func (h *hub) state() (pos int64, b beat, woken <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.pos, h.beat, h.grown
}

// movedAfter is what moved within some organisations after a look, and the number of the newest look.
func (h *hub) movedAfter(look int64, orgs map[id.Org]bool) ([]json.RawMessage, int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.places.after(look, orgs), h.places.look
}

// look reads once a second what changed of positions, and how fresh all is.
func (h *hub) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	h.mu.Lock()
	offices := h.offices || time.Since(h.places.readAt) > officesEvery
	states, pos, places := h.states, h.pos, h.places
	h.offices, h.states = false, false
	h.mu.Unlock()
	f, err := places.read(ctx, h.s, offices, states)
	var heard map[id.Org]time.Time
	var lag time.Duration
	if err == nil {
		heard, err = h.s.heard(ctx, h.s.Pool, h.s.Clock.Now())
	}
	if err == nil {
		lag, err = h.s.lag(ctx, h.s.Pool, pos)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		err = h.places.take(f)
	}
	if err != nil {
		h.offices, h.states = h.offices || offices, h.states || states // read them the next time
		if ctx.Err() == nil {
			h.s.Log.Warn("positions could not be read", "err", err)
		}
		return
	}
	if offices {
		h.places.readAt = time.Now()
	}
	h.heard, h.lag, h.lookedAt = heard, lag, time.Now()
}

// tell is the beat. It asks nobody, so that it comes every second whatever is away, and says so.
func (h *hub) tell(context.Context) {
	clock := h.s.clockView()
	h.mu.Lock()
	defer h.mu.Unlock()
	since := time.Since(h.lookedAt)
	b := beat{Type: "beat", Now: clock.Now, Clock: clock, Pos: h.pos, heard: h.heard, LagS: h.lag.Seconds(),
		Degraded: append([]string{}, h.examined...), Missing: append([]int{}, h.missing...), Stale: append([]string{}, h.stale...), n: h.beat.n + 1}
	if !h.lookedAt.IsZero() && since > staleAfter {
		b.LagS = max(b.LagS, since.Seconds())
		if !slices.Contains(b.Degraded, "database") {
			b.Degraded = append(b.Degraded, "database")
		}
	}
	h.beat = b
	h.wake()
}

func (h *hub) examine(ctx context.Context) {
	names, missing, stale := degraded(h.s.examine(ctx), h.s.Health), h.s.missing(), h.s.stale()
	h.mu.Lock()
	h.examined, h.missing, h.stale = names, missing, stale
	h.mu.Unlock()
}
