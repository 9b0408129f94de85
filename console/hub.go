package console

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"zhijiao/alerts"
	"zhijiao/geofence"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

const (
	ringSize     = 4096 // entries kept for clients; who is further behind reads the ledger
	furthest     = 50_000
	beatEvery    = time.Second
	examineEvery = 5 * time.Second
	recheckEvery = 10 * time.Second
	overlap      = 3 * time.Second // a commit may be seen later than the time it wrote
)

// item is one ledger entry as clients are told of it. What it says is rendered once for all of them.
type item struct {
	pos      int64
	org      id.Org // 0: concerns everybody
	alert    json.RawMessage
	zones    bool // zones changed
	subjects bool // who is supervised by whom, or by what, changed
}

// hub follows the ledger once for all websockets of the process, and works out once a second what they all are told.
type hub struct {
	s *Server

	mu      sync.Mutex
	clients map[*client]struct{}
	ring    []item // in order of pos
	pos     int64  // all entries up to here are in the ring, or before it
	beat    beat
	grown   chan struct{} // closed and renewed when pos or beat changes
	moves   map[id.Org]*moves
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
	n        int64
}

func newHub(s *Server) *hub {
	return &hub{s: s, clients: map[*client]struct{}{}, grown: make(chan struct{}), moves: map[id.Org]*moves{}}
}

// run feeds the clients until ctx ends, then says goodbye to them.
func (h *hub) run(ctx context.Context) error {
	defer h.closeAll("server_stopping")
	head, err := ledger.Head(ctx, h.s.Pool)
	for err != nil {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
		head, err = ledger.Head(ctx, h.s.Pool)
	}
	h.mu.Lock()
	h.pos = head
	h.mu.Unlock()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { h.beats(ctx) })
	err = ledger.Follow(ctx, h.s.Pool, h.s.Listener, head, func(entries []ledger.Entry) error { return h.take(ctx, entries) })
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// take renders entries and wakes the clients. A database that is away is waited for: an entry is never skipped.
func (h *hub) take(ctx context.Context, entries []ledger.Entry) error {
	items, err := h.render(ctx, entries)
	for err != nil {
		h.s.Log.Warn("the stream waits for the database", "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
		items, err = h.render(ctx, entries)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring = append(h.ring, items...)
	if n := len(h.ring); n > ringSize {
		h.ring = append([]item(nil), h.ring[n-ringSize:]...)
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

// render makes of entries what clients are told. An alert is told as it is now: of two entries about one, both say the
// newer state, and its version tells.
func (h *hub) render(ctx context.Context, entries []ledger.Entry) ([]item, error) {
	var ids []alerts.ID
	for _, e := range entries {
		if e.Entity == "alert" {
			ids = append(ids, alerts.ID(e.EntityID))
		}
	}
	list, err := h.s.Alerts.Every(ctx, h.s.Pool, ids)
	if err != nil {
		return nil, err
	}
	views, err := h.s.viewAlerts(ctx, h.s.Pool, list)
	if err != nil {
		return nil, err
	}
	docs := make(map[int64]json.RawMessage, len(views))
	for _, v := range views {
		if docs[v.ID], err = json.Marshal(v); err != nil {
			return nil, err
		}
	}
	out := make([]item, 0, len(entries))
	for _, e := range entries {
		it := item{pos: e.Pos, org: e.Org}
		switch e.Entity {
		case "alert":
			it.alert = docs[e.EntityID]
		case "zone":
			it.zones, it.org = true, 0
		case "subject", "binding", "violation", "org":
			it.subjects = true
		}
		out = append(out, it)
	}
	return out, nil
}

// after returns what a client at pos has not been told, and up to where that goes. Who is behind the ring reads the ledger:
// the same entries, rendered the same. ok is false where pos is none of ours, or too far back.
func (h *hub) after(ctx context.Context, pos int64) (items []item, until int64, ok bool, err error) {
	h.mu.Lock()
	head, ring := h.pos, h.ring
	h.mu.Unlock()
	switch {
	case pos > head || head-pos > furthest:
		return nil, 0, false, nil
	case pos == head:
		return nil, head, true, nil
	case len(ring) > 0 && ring[0].pos <= pos+1:
		for i := range ring {
			if ring[i].pos > pos && ring[i].pos <= head {
				items = append(items, ring[i])
			}
		}
		return items, head, true, nil
	}
	entries, err := ledger.Read(ctx, h.s.Pool, pos, 500)
	if err != nil || len(entries) == 0 {
		return nil, head, err == nil, err
	}
	items, err = h.render(ctx, entries)
	return items, entries[len(entries)-1].Pos, true, err
}

// state is what a client waits on: when it is woken, and by which beat.
func (h *hub) state() (pos int64, b beat, woken <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.pos, h.beat, h.grown
}

// beats works out once a second what every client is told.
func (h *hub) beats(ctx context.Context) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	var degradedNow []string
	var examined, rechecked time.Time
	for n := int64(1); ; n++ {
		if time.Since(examined) >= examineEvery {
			degradedNow, examined = degraded(h.s.examine(ctx), h.s.Health), time.Now()
		}
		if time.Since(rechecked) >= recheckEvery {
			h.recheck(ctx)
			rechecked = time.Now()
		}
		h.look(ctx)
		h.tell(ctx, n, degradedNow)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (h *hub) tell(ctx context.Context, n int64, degradedNow []string) {
	b := beat{Type: "beat", Clock: h.s.clockView(), Degraded: degradedNow, n: n}
	b.Now = b.Clock.Now
	asking, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	at, err := h.s.dataAt(asking, h.s.Pool)
	if err == nil {
		b.LagS, err = ledger.LagOf(asking, h.s.Pool, alerts.ReaderName)
	}
	if err != nil && ctx.Err() == nil {
		b.Degraded = append([]string{"database"}, without(b.Degraded, "database")...)
	}
	b.DataAt = instant(at)
	h.mu.Lock()
	defer h.mu.Unlock()
	b.Pos = h.pos
	if err != nil {
		b.DataAt = h.beat.DataAt // the last we knew, so that its age is seen to grow
	}
	h.beat = b
	h.wake()
}

func without(list []string, drop string) []string {
	out := list[:0:0]
	for _, v := range list {
		if v != drop {
			out = append(out, v)
		}
	}
	return out
}

// recheck closes the websockets of sessions that ended, and renews what the others may see.
func (h *hub) recheck(ctx context.Context) {
	list := h.list()
	hashes := make([][]byte, 0, len(list))
	for _, c := range list {
		hashes = append(hashes, c.session.hash)
	}
	if len(hashes) == 0 {
		return
	}
	live, err := h.s.liveSessions(ctx, hashes)
	if err != nil {
		return // the database is away: nobody is thrown out for that
	}
	for _, c := range list {
		if !live[string(c.session.hash)] {
			c.end("session_ended")
			continue
		}
		if orgs, err := h.s.orgSet(ctx, c.session.account.Org); err == nil {
			c.orgs.Store(&orgs)
		}
	}
}

func (h *hub) list() []*client {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*client, 0, len(h.clients))
	for c := range h.clients {
		out = append(out, c)
	}
	return out
}

func (h *hub) add(c *client) {
	h.mu.Lock()
	h.clients[c] = struct{}{}
	h.s.metrics.clients.Set(float64(len(h.clients)))
	h.mu.Unlock()
}

func (h *hub) remove(c *client) {
	h.mu.Lock()
	delete(h.clients, c)
	h.s.metrics.clients.Set(float64(len(h.clients)))
	h.mu.Unlock()
}

// dropSession closes the websockets of a session at once.
func (h *hub) dropSession(hash []byte) {
	for _, c := range h.list() {
		if string(c.session.hash) == string(hash) {
			c.end("session_ended")
		}
	}
}

func (h *hub) closeAll(reason string) {
	for _, c := range h.list() {
		c.end(reason)
	}
}

// orgSet is an organisation and everything under it.
func (s *Server) orgSet(ctx context.Context, root id.Org) (map[id.Org]bool, error) {
	orgs, err := s.Supervision.Orgs(ctx, root)
	if err != nil {
		return nil, err
	}
	out := make(map[id.Org]bool, len(orgs))
	for _, o := range orgs {
		out[o.ID] = true
	}
	return out, nil
}

// moves is what moved in one scope: each second's look, numbered, so that a client that missed some is told all it missed.
type moves struct {
	since time.Time // machine time of the database up to which was looked, less the overlap
	seen  map[id.Subject]time.Time
	state map[id.Subject]string
	looks []look
}

type look struct {
	n     int64
	items []movedView
}

const looksKept = 30 // seconds; a client further behind is too slow anyway

type movedView struct {
	Subject  int64     `json:"subject_id"`
	Lon      float64   `json:"lon"`
	Lat      float64   `json:"lat"`
	FixAt    time.Time `json:"fix_at"`
	Accuracy float64   `json:"accuracy_m"`
	Method   string    `json:"method"`
	Battery  *int      `json:"battery"`
	State    string    `json:"state"`
}

// look reads, for each scope somebody watches, the positions written since the last time, and whose state changed.
func (h *hub) look(ctx context.Context) {
	scopes := map[id.Org]bool{}
	for _, c := range h.list() {
		scopes[c.session.account.Org] = true
	}
	h.mu.Lock()
	for scope := range h.moves {
		if !scopes[scope] {
			delete(h.moves, scope)
		}
	}
	h.mu.Unlock()
	for scope := range scopes {
		asking, cancel := context.WithTimeout(ctx, 3*time.Second)
		h.lookAt(asking, scope)
		cancel()
	}
}

func (h *hub) lookAt(ctx context.Context, scope id.Org) {
	h.mu.Lock()
	m := h.moves[scope]
	h.mu.Unlock()
	fresh := m == nil
	if fresh {
		m = &moves{seen: map[id.Subject]time.Time{}, since: time.Now().Add(-time.Minute)}
	}
	now := h.s.Clock.Now()
	states, err := h.s.statesOf(ctx, h.s.Pool, scope, now)
	if err != nil {
		return
	}
	changed := map[id.Subject]bool{}
	for subject, st := range states {
		changed[subject] = m.state[subject] != st
	}
	for subject := range m.state {
		changed[subject] = changed[subject] || states[subject] != m.state[subject]
	}
	since := m.since
	for _, c := range changed {
		if c && !fresh {
			since = time.Time{} // rare: read everybody, tell those who changed
		}
	}
	current, err := geofence.CurrentPositions(ctx, h.s.Pool, scope, now, since)
	if err != nil {
		return
	}
	var items []movedView
	newest := m.since.Add(overlap)
	for i := range current {
		c := &current[i]
		if c.WrittenAt.After(newest) {
			newest = c.WrittenAt
		}
		if !changed[c.Subject] && m.seen[c.Subject].Equal(c.WrittenAt) || !changed[c.Subject] && c.WrittenAt.Before(m.since) {
			continue
		}
		m.seen[c.Subject] = c.WrittenAt
		st := states[c.Subject]
		if st == "" {
			st = "ok"
		}
		items = append(items, movedView{int64(c.Subject), c.Lon, c.Lat, c.FixAt, c.AccuracyM, c.Method.String(), c.Battery, st})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	m.state, m.since = states, newest.Add(-overlap)
	n := h.beat.n + 1 // told with the beat that follows
	m.looks = append(m.looks, look{n, items})
	if len(m.looks) > looksKept {
		m.looks = m.looks[len(m.looks)-looksKept:]
	}
	h.moves[scope] = m
}

// movedSince is what moved in a scope after beat n, each subject once, as it was last.
func (h *hub) movedSince(scope id.Org, n int64) []movedView {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.moves[scope]
	if m == nil {
		return nil
	}
	last := map[int64]int{}
	var out []movedView
	for _, l := range m.looks {
		if l.n <= n {
			continue
		}
		for _, v := range l.items {
			if at, ok := last[v.Subject]; ok {
				out[at] = v
				continue
			}
			last[v.Subject] = len(out)
			out = append(out, v)
		}
	}
	return out
}
