package console

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"zhijiao/internal/id"
)

const (
	writeTime = 10 * time.Second // a client that takes longer to take a frame is too slow
	pongTime  = 45 * time.Second
	pingEvery = 15 * time.Second
)

// client is one websocket. It pulls: it remembers the position it has told up to and asks the hub for what comes after, so
// that nothing queues up for it, however slow it is.
type client struct {
	hub     *hub
	conn    *websocket.Conn
	session session
	orgs    atomic.Pointer[map[id.Org]bool]
	ctx     context.Context
	cancel  context.CancelFunc
	once    sync.Once
	reason  string
}

// end makes the client say goodbye and close. The first reason counts.
func (c *client) end(reason string) {
	c.once.Do(func() {
		c.reason = reason
		c.cancel()
	})
}

var upgrader = websocket.Upgrader{ReadBufferSize: 512, WriteBufferSize: 16 << 10, EnableCompression: false, CheckOrigin: sameOrigin}

// sameOrigin refuses a page of another site (ASVS 4.4.2): a browser always sends Origin here.
func sameOrigin(r *http.Request) bool {
	u, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && u.Host != "" && u.Host == r.Host
}

// websocket streams from the position the client stopped at.
func (s *Server) websocket(w http.ResponseWriter, r *request) error {
	pos, err := strconv.ParseInt(r.URL.Query().Get("pos"), 10, 64)
	if err != nil || pos < 0 {
		return problem{http.StatusBadRequest, "malformed", "pos", nil}
	}
	if !sameOrigin(r.Request) {
		return problem{http.StatusForbidden, "cross_origin", "", nil}
	}
	orgs, err := s.orgSet(r.Context(), r.scope())
	if err != nil {
		return err
	}
	conn, err := upgrader.Upgrade(w, r.Request, nil)
	if err != nil {
		return nil // Upgrade has answered
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	c := &client{hub: s.hub, conn: conn, session: r.session, ctx: ctx, cancel: cancel}
	c.orgs.Store(&orgs)
	s.hub.add(c)
	defer s.hub.remove(c)
	defer conn.Close()
	select {
	case <-s.closing:
		c.end("server_stopping")
	default:
	}
	go c.read()
	err = c.write(pos)
	c.end("gone")
	reason := c.reason
	var slow net.Error
	if errors.As(err, &slow) && slow.Timeout() {
		reason = "too_slow"
	}
	s.metrics.disconnects.WithLabelValues(reason).Inc()
	if reason != "gone" && reason != "too_slow" {
		_ = c.send("bye", map[string]string{"type": "bye", "reason": reason})
		_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, reason), time.Now().Add(time.Second))
	}
	return nil
}

// read hears only whether the client is there. It has nothing to say.
func (c *client) read() {
	defer c.end("gone")
	c.conn.SetReadLimit(512)
	alive := func() error { return c.conn.SetReadDeadline(time.Now().Add(pongTime)) }
	c.conn.SetPongHandler(func(string) error { return alive() })
	if alive() != nil {
		return
	}
	for {
		if _, _, err := c.conn.ReadMessage(); err != nil {
			return
		}
	}
}

// write tells the client what comes, until it ends. Catching up and following are the same loop.
func (c *client) write(pos int64) error {
	head, b, _ := c.hub.state()
	told := b.n
	if err := c.send("hello", map[string]any{"type": "hello", "pos": head, "now": c.hub.s.Clock.Now(), "clock": c.hub.s.clockView()}); err != nil {
		return err
	}
	pinged := time.Now()
	for c.ctx.Err() == nil {
		head, b, woken := c.hub.state()
		if head != pos {
			next, err := c.entries(pos)
			if err != nil {
				return err
			}
			if pos = next; pos != head {
				continue // there is more
			}
		}
		if b.n > told {
			if moved := c.hub.movedSince(c.session.account.Org, told); len(moved) > 0 {
				if err := c.send("positions", map[string]any{"type": "positions", "items": moved}); err != nil {
					return err
				}
			}
			told = b.n
			b.Pos = pos
			if err := c.send("beat", b); err != nil {
				return err
			}
		}
		if time.Since(pinged) > pingEvery {
			pinged = time.Now()
			if err := c.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTime)); err != nil {
				return err
			}
		}
		select {
		case <-c.ctx.Done():
		case <-woken:
		}
	}
	return nil
}

// entries tells what came after pos and returns up to where. A position that is none of ours means that the client must
// begin anew with a snapshot.
func (c *client) entries(pos int64) (int64, error) {
	items, until, ok, err := c.hub.after(c.ctx, pos)
	if err != nil {
		select { // the database is away: the beat says so meanwhile
		case <-c.ctx.Done():
		case <-time.After(time.Second):
		}
		return pos, c.ctx.Err()
	}
	if !ok {
		c.end("resync")
		return pos, c.send("resync", map[string]string{"type": "resync"})
	}
	f := entriesFrame{Type: "entries", Pos: until, Alerts: []json.RawMessage{}}
	mine := *c.orgs.Load()
	at := map[string]int{}
	for _, it := range items {
		if it.org != 0 && !mine[it.org] {
			continue
		}
		f.ZonesChanged = f.ZonesChanged || it.zones
		f.SubjectsChanged = f.SubjectsChanged || it.subjects
		if it.alert == nil {
			continue
		}
		if _, dup := at[string(it.alert)]; dup {
			continue // two entries of one batch that say the same
		}
		at[string(it.alert)] = len(f.Alerts)
		f.Alerts = append(f.Alerts, it.alert)
	}
	return until, c.send("entries", f)
}

type entriesFrame struct {
	Type            string            `json:"type"`
	Pos             int64             `json:"pos"`
	Alerts          []json.RawMessage `json:"alerts"`
	ZonesChanged    bool              `json:"zones_changed"`
	SubjectsChanged bool              `json:"subjects_changed"`
}

func (c *client) send(kind string, v any) error {
	doc, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	c.hub.s.metrics.sent.WithLabelValues(kind).Inc()
	return c.conn.WriteMessage(websocket.TextMessage, doc)
}
