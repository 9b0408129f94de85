package jt808

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/mqttlink"
)

const (
	registerRate  = 20 // registrations a second, in the long run
	registerBurst = 100
)

// maxStrangers is how many connections may be open that have not authenticated: half of the places are kept for those who can. One more
// puts out the eldest: a terminal says who it is within a second, and whoever only waits has waited long enough.
func (g *Gateway) maxStrangers() int { return max(1, g.o.MaxConnections/2) }

// Gateway holds the connections of terminals. It has one session at the broker, for all of them.
type Gateway struct {
	o       Options
	link    *mqttlink.Link
	listen  net.Listener
	metrics *metrics
	tracer  *tracer

	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	lookups chan struct{} // a place for each registration that asks the database
	asking  bucket        // and how many may in a second

	mu    sync.Mutex
	all   map[*conn]struct{}
	known map[devices.Serial]*conn     // authenticated; the newest connection of each
	new   list.List                    // *conn, not authenticated, the eldest in front
	last  map[devices.Serial]time.Time // of its last authentication

	settled settled
}

// New prepares a gateway; it listens from Start on.
func New(o Options) (*Gateway, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	g := &Gateway{o: o, all: map[*conn]struct{}{}, known: map[devices.Serial]*conn{}, last: map[devices.Serial]time.Time{}, lookups: make(chan struct{}, 2),
		asking: bucket{rate: registerRate, burst: registerBurst, tokens: registerBurst}, settled: newSettled()}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.metrics, g.tracer = newMetrics(g, o.Registry), newTracer(g)
	o.Link.Subscribe = []mqttlink.Filter{{Topic: "down/+/cmd", QoS: 0}}
	o.Link.Handler = g.command
	link, err := mqttlink.New(o.Link)
	if err != nil {
		return nil, fmt.Errorf("jt808: %w", err)
	}
	g.link = link
	return g, nil
}

// Start listens, and connects to the broker. Until the broker is there terminals are let in and get no answer to what they
// observe.
func (g *Gateway) Start() error {
	// No keep-alive of TCP's: every 15 seconds it would wake the modem of something that lives on a battery. The idle limit ends
	// what is dead.
	l, err := (&net.ListenConfig{KeepAlive: -1}).Listen(g.ctx, "tcp", g.o.Listen)
	if err != nil {
		return fmt.Errorf("jt808: %w", err)
	}
	if g.o.TLS != nil {
		l = tls.NewListener(l, g.o.TLS)
	}
	g.listen = l
	g.link.Open()
	for _, f := range []func(){g.accept, g.sweep, func() { g.tracer.run(g.ctx) }, func() { g.settled.run(g) }} {
		g.running.Add(1)
		go func() { defer g.running.Done(); f() }()
	}
	return nil
}

// Addr is where it listens.
func (g *Gateway) Addr() net.Addr { return g.listen.Addr() }

// Ready says whether there is a session at the broker.
func (g *Gateway) Ready() error {
	if up, err := g.link.Connected(); !up {
		return fmt.Errorf("jt808: no session at the broker: %w", errors.Join(err, mqttlink.ErrNotConnected))
	}
	return nil
}

// Stop ends every connection and returns when nothing of the gateway runs.
func (g *Gateway) Stop(ctx context.Context) error {
	g.cancel()
	var err error
	if g.listen != nil {
		err = g.listen.Close()
	}
	g.mu.Lock()
	for c := range g.all {
		c.cancel()
	}
	g.mu.Unlock()
	done := make(chan struct{})
	go func() { g.running.Wait(); g.link.Close(); close(done) }()
	select {
	case <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (g *Gateway) counts() (all, known int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.all), len(g.known)
}

func (g *Gateway) accept() {
	for {
		n, err := g.listen.Accept()
		if g.ctx.Err() != nil {
			if err == nil {
				_ = n.Close()
			}
			return
		}
		if err != nil { // out of descriptors, most likely: it passes
			g.o.Log.Warn("a connection could not be taken", "err", err)
			select {
			case <-g.ctx.Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		c := newConn(g, n)
		if why := g.enter(c); why != "" {
			g.metrics.turnedAway.WithLabelValues(why).Inc()
			c.cancel()
			_ = n.Close()
			continue
		}
		go func() { defer g.running.Done(); c.run() }()
	}
}

// enter makes room for a connection, or says why there is none.
func (g *Gateway) enter(c *conn) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.ctx.Err() != nil:
		return "stopping"
	case len(g.all) >= g.o.MaxConnections:
		return "full"
	}
	if g.new.Len() >= g.maxStrangers() {
		eldest := g.new.Front().Value.(*conn)
		g.forget(eldest)
		eldest.end("put out")
	}
	g.all[c] = struct{}{}
	c.waiting = g.new.PushBack(c)
	g.running.Add(1)
	return ""
}

// forget takes c from those who have not authenticated, under the lock.
func (g *Gateway) forget(c *conn) {
	if c.waiting != nil {
		g.new.Remove(c.waiting)
		c.waiting = nil
	}
}

func (g *Gateway) leave(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forget(c)
	delete(g.all, c)
	if g.known[c.serial] == c {
		delete(g.known, c.serial)
	}
}

// mayLookUp bounds what registrations cost the database: anybody may send one.
func (g *Gateway) mayLookUp() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asking.take(time.Now()) == 0
}

// turn is how long a terminal that authenticates has to wait: one that connects again and again, or two under one number, do so once a
// second.
func (g *Gateway) turn(serial devices.Serial) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	next := now
	if last, again := g.last[serial]; again && last.Add(g.o.Limits.Login).After(now) {
		next = last.Add(g.o.Limits.Login)
	}
	g.last[serial] = next
	return next.Sub(now)
}

// take makes c the connection of its terminal. One that had it ends: a terminal that comes again has lost its old connection,
// whether we know it yet or not.
func (g *Gateway) take(c *conn) {
	g.mu.Lock()
	g.forget(c)
	old := g.known[c.serial]
	g.known[c.serial] = c
	g.mu.Unlock()
	if old != nil && old != c {
		old.end("taken over")
	}
}

// sweep ends the connections of terminals that may no longer speak.
func (g *Gateway) sweep() {
	tick := time.NewTicker(g.o.Limits.Sweep)
	defer tick.Stop()
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-tick.C:
		}
		g.mu.Lock()
		list := make([]*conn, 0, len(g.known))
		for _, c := range g.known {
			list = append(list, c)
		}
		g.mu.Unlock()
		for _, c := range list {
			if _, ok := c.may(); !ok {
				c.end("revoked")
			}
		}
	}
}

// command hands a command that came down to the connection of its terminal, if it is here. A queue that is full drops it: it is
// sent again until it is answered.
func (g *Gateway) command(_ context.Context, m mqttlink.Message) {
	s, ok := strings.CutPrefix(m.Topic, "down/")
	if !ok {
		return
	}
	s, _ = strings.CutSuffix(s, "/cmd")
	g.mu.Lock()
	c := g.known[devices.Serial(s)]
	g.mu.Unlock()
	if c == nil {
		return
	}
	cmd, err := devices.DecodeCommandJSON(m.Payload)
	if err != nil {
		g.metrics.commands.WithLabelValues("other", "malformed").Inc()
		return
	}
	select {
	case c.commands <- cmd:
	default:
		g.metrics.commands.WithLabelValues(commandLabel(cmd.Kind), "dropped").Inc()
	}
}
