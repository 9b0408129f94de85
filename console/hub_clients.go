package console

import (
	"context"
	"time"
)

// add takes a websocket in; false when the hub is stopping.
func (h *hub) add(c *client) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.clients[c] = struct{}{}
	h.running.Add(1)
	h.s.metrics.clients.Set(float64(len(h.clients)))
	return true
}

func (h *hub) remove(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clients, c)
	h.running.Done()
	h.s.metrics.clients.Set(float64(len(h.clients)))
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

// recheck closes the websockets of sessions that ended, or whose account sees something else now.
func (h *hub) recheck(ctx context.Context) {
	list := h.list()
	if len(list) == 0 {
		return
	}
	hashes := make([][]byte, 0, len(list))
	for _, c := range list {
		hashes = append(hashes, c.session.hash)
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	live, err := h.s.liveSessions(ctx, hashes)
	if err != nil {
		return // the database is away, and the beat says so: nobody is thrown out for that
	}
	for _, c := range list {
		switch v, ok := live[string(c.session.hash)]; {
		case !ok:
			c.end(reasonSession)
		case v.org != c.session.account.Org || v.cover != c.session.account.Cover || !v.watch:
			c.end(reasonRights)
		}
	}
}

// dropSession closes the websockets of a session at once.
func (h *hub) dropSession(hash []byte) {
	for _, c := range h.list() {
		if string(c.session.hash) == string(hash) {
			c.end(reasonSession)
		}
	}
}

// closeAll says goodbye to all, and waits until it is said.
func (h *hub) closeAll() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	for _, c := range h.list() {
		c.end(reasonStopping)
	}
	said := make(chan struct{})
	go func() { h.running.Wait(); close(said) }()
	select {
	case <-said:
	case <-time.After(goodbyeTime):
		for _, c := range h.list() {
			c.conn.Close()
		}
	}
}
