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
	orgs    map[id.Org]bool // what it may see; its writer's own
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

var upgrader = websocket.Upgrader{ReadBufferSize: 512, WriteBufferSize: 16 << 10, CheckOrigin: sameOrigin}

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
	if !websocket.IsWebSocketUpgrade(r.Request) {
		return problem{http.StatusBadRequest, "not_a_websocket", "", nil}
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
	defer conn.Close()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	c := &client{hub: s.hub, conn: conn, session: r.session, orgs: orgs, cancel: cancel}
	if !s.hub.add(c) {
		c.goodbye(reasonStopping)
		return nil
	}
	defer s.hub.remove(c)
	go c.read()
	err = c.write(ctx, pos)
	c.end(reasonGone)
	reason := c.reason
	var slow net.Error
	if errors.As(err, &slow) && slow.Timeout() {
		reason = reasonSlow
	}
	s.metrics.disconnects.WithLabelValues(reason).Inc()
	c.goodbye(reason)
	return nil
}

// goodbye says why the stream ends, to whoever is there to hear it.
func (c *client) goodbye(reason string) {
	if reason == reasonGone || reason == reasonSlow {
		return
	}
	if reason != reasonResync && c.send(byeFrame{"bye", reason}) != nil {
		return
	}
	//nolint:errcheck // the connection ends either way
	c.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, reason), time.Now().Add(time.Second))
}

// read hears only whether the client is there. It has nothing to say.
func (c *client) read() {
	defer c.end(reasonGone)
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
func (c *client) write(ctx context.Context, pos int64) error {
	clock := c.hub.s.clockView()
	if err := c.send(helloFrame{"hello", pos, clock.Now, clock}); err != nil {
		return err
	}
	var look, told int64 // look 0: first of all where everybody is
	pinged := time.Now()
	for first := true; ctx.Err() == nil; first = false {
		head, b, woken := c.hub.state()
		if head > pos || first {
			next, err := c.entries(ctx, pos)
			if err != nil {
				return err
			}
			if pos = next; pos < head {
				continue // there is more; the client takes it as fast as it can
			}
		}
		if b.n > told {
			if err := c.moved(&look); err != nil {
				return err
			}
			told, b.Pos, b.DataAt = b.n, pos, instant(newest(b.heard, c.orgs))
			if err := c.send(b); err != nil {
				return err
			}
		}
		if time.Since(pinged) > pingEvery {
			pinged = time.Now()
			if err := c.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(c.hub.writeTime)); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
		case <-woken:
		}
	}
	return nil
}

// moved tells what moved since the look the client was told of last.
func (c *client) moved(look *int64) error {
	items, newest := c.hub.movedAfter(*look, c.orgs)
	*look = newest
	if len(items) == 0 {
		return nil
	}
	return c.send(positionsFrame{"positions", items})
}

// entries tells what came after pos and returns up to where. A position that is none of ours means that the client must
// begin anew with a snapshot.
func (c *client) entries(ctx context.Context, pos int64) (int64, error) {
	items, until, ok, err := c.hub.after(ctx, pos)
	if err != nil {
		pause(ctx, time.Second) // the database is away, and the beat says so meanwhile
		return pos, ctx.Err()
	}
	if !ok {
		c.end(reasonResync)
		return pos, c.send(byeFrame{Type: "resync"})
	}
	if until == pos {
		return pos, nil
	}
	f := entriesFrame{Type: "entries", Pos: until, Alerts: []json.RawMessage{}}
	for _, it := range items {
		if it.orgs { // what the client may see may be something else now
			if c.orgs, err = c.hub.s.orgSet(ctx, c.session.account.Org); err != nil {
				return pos, err
			}
		}
		if it.org != 0 && !c.orgs[it.org] {
			continue
		}
		f.ZonesChanged = f.ZonesChanged || it.zones
		f.SubjectsChanged = f.SubjectsChanged || it.subjects
		if it.alert != nil {
			f.Alerts = append(f.Alerts, it.alert)
		}
	}
	return until, c.send(f)
}

func (c *client) send(v any) error {
	doc, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.hub.writeTime)); err != nil {
		return err
	}
	return c.conn.WriteMessage(websocket.TextMessage, doc)
}
