package jt808

import (
	"container/list"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/topic"
)

const (
	maxBad       = 20 // frames in a row that cannot be opened
	maxEarly     = 8  // frames before the authentication
	maxTogether  = 32 // observations of one payload
	commandQueue = 16
)

// conn is one connection. run reads and answers, one frame after the other: while the broker has not acknowledged, nothing more is
// read, and the terminal waits.
type conn struct {
	g      *Gateway
	net    net.Conn
	ctx    context.Context
	cancel context.CancelFunc
	opened time.Time

	split Splitter
	parts Assembler
	pace  bucket
	began time.Time // when the frame that is being read began
	bad   int
	early int

	waiting *list.Element // among those who have not authenticated; the gateway's lock

	heardAt, heardOf time.Time // the last report: when it came, and of when it was

	// Set once, by the authentication, before the gateway knows the connection.
	serial devices.Serial
	mac    []byte
	head   Header // of the authentication: edition and number, for what goes down

	commands chan devices.CommandMessage
	once     sync.Once
	why      string

	writing sync.Mutex
	next    uint16 // our own count of messages
	sent    []sentCommand
}

func newConn(g *Gateway, n net.Conn) *conn {
	c := &conn{g: g, net: n, opened: time.Now(), commands: make(chan devices.CommandMessage, commandQueue),
		pace: bucket{rate: g.o.Limits.Frames, burst: 4 * g.o.Limits.Frames, tokens: 4 * g.o.Limits.Frames}}
	c.ctx, c.cancel = context.WithCancel(g.ctx)
	return c
}

// end closes the connection from outside; the first reason counts.
func (c *conn) end(why string) {
	c.once.Do(func() { c.why = why })
	c.cancel()
}

func (c *conn) run() {
	defer c.g.leave(c)
	stop := context.AfterFunc(c.ctx, func() { _ = c.net.Close() })
	defer stop()
	defer c.cancel()
	why := c.read()
	c.end(why)
	c.g.metrics.ended.WithLabelValues(c.why).Inc()
	c.g.o.Log.Debug("connection ended", "serial", string(c.serial), "why", c.why)
}

// read reads until something ends the connection, and says what.
func (c *conn) read() string {
	buf := make([]byte, 4<<10)
	for {
		if err := c.net.SetReadDeadline(c.deadline()); err != nil {
			return "closed"
		}
		n, err := c.net.Read(buf)
		if n > 0 {
			frames, partial, why := 0, c.split.Partial(), ""
			if !c.split.Split(buf[:n], func(frame []byte, f *devices.Fault) bool {
				frames++
				why = c.frame(frame, f)
				return why == ""
			}) {
				return why
			}
			if c.split.Partial() && (frames > 0 || !partial) {
				c.began = time.Now()
			}
		}
		switch {
		case err == nil:
		case c.ctx.Err() != nil:
			return "stopped"
		case errors.Is(err, os.ErrDeadlineExceeded):
			return "timeout"
		case errors.Is(err, io.EOF):
			return "closed"
		default:
			return "lost"
		}
	}
}

// deadline is until when the next bytes must come. Whoever has not said who he is, and whoever has begun a frame, has a fixed one:
// a byte now and then does not move it.
func (c *conn) deadline() time.Time {
	l := c.g.o.Limits
	switch {
	case c.serial == "":
		return c.opened.Add(l.Handshake)
	case c.split.Partial():
		return c.began.Add(l.Frame)
	}
	return time.Now().Add(l.Idle)
}

// may says whether the terminal may still speak, and what is known of it.
func (c *conn) may() (devices.Terminal, bool) {
	t, known := c.g.o.Terminals.Find(c.serial)
	return t, known && t.Knows(c.mac)
}

// frame takes one frame, and says why the connection is to end, or "".
func (c *conn) frame(frame []byte, f *devices.Fault) string {
	if !c.wait() {
		return "stopped"
	}
	var m Message
	if f == nil {
		m, f = Open(frame)
	}
	if f != nil {
		return c.unopened(m, f, len(frame))
	}
	c.bad = 0
	c.g.metrics.frames.WithLabelValues(m.ID.String()).Inc()
	var t devices.Terminal
	if c.serial != "" {
		if claimed, _ := SerialOf(m.Phone); claimed != c.serial {
			c.g.tracer.refuse(c.serial, &devices.Fault{Reason: devices.IdentityMismatch, Field: "phone"}, len(frame))
			return "spoke for another"
		}
		var ok bool
		if t, ok = c.may(); !ok {
			return "revoked"
		}
	}
	serials := []uint16{m.Serial}
	if m.Parts > 0 {
		if c.serial == "" {
			return c.stranger(m, len(frame))
		}
		whole, all, done, f := c.parts.Add(m, time.Now())
		if f != nil {
			return c.wrong(m, serials, f)
		}
		if !done {
			return ""
		}
		m, serials = whole, all
	}
	return c.handle(m, serials, t)
}

// wait holds up a terminal that sends faster than anything could need.
func (c *conn) wait() bool {
	for {
		d := c.pace.take(time.Now())
		if d == 0 {
			return true
		}
		select {
		case <-c.ctx.Done():
			return false
		case <-time.After(d):
		}
	}
}

// unopened is for a frame that says nothing we may believe. A stranger is not given a second try; of a terminal it may be the line.
func (c *conn) unopened(m Message, f *devices.Fault, size int) string {
	c.g.tracer.refuse(c.serial, f, size)
	if c.serial == "" {
		return "stranger"
	}
	if c.bad++; c.bad >= maxBad {
		return "nonsense"
	}
	if f.Reason == devices.Encrypted { // the frame is whole: it is answered, or it comes for ever
		if claimed, _ := SerialOf(m.Phone); claimed != c.serial {
			return "spoke for another"
		}
		return c.reply(m, []uint16{m.Serial}, Unsupported)
	}
	return ""
}

// wrong answers a message that is whole and makes no sense, so that it does not come again.
func (c *conn) wrong(m Message, serials []uint16, f *devices.Fault) string {
	c.g.tracer.refuse(c.serial, f, len(m.Body))
	return c.reply(m, serials, Wrong)
}

// stranger is for whoever speaks before having said who it is.
func (c *conn) stranger(m Message, size int) string {
	serial, _ := SerialOf(m.Phone)
	c.g.tracer.refuse(serial, &devices.Fault{Reason: devices.NotPermitted, Field: "authentication"}, size)
	if c.early++; c.early > maxEarly {
		return "stranger"
	}
	return c.reply(m, []uint16{m.Serial}, Failed)
}

func (c *conn) handle(m Message, serials []uint16, t devices.Terminal) string {
	switch {
	case m.ID == Registration:
		return c.register(m)
	case m.ID == Authentication:
		return c.authenticate(m)
	case c.serial == "":
		return c.stranger(m, len(m.Body))
	}
	switch m.ID {
	case Heartbeat:
		return c.reply(m, serials, Success)
	case Deregistration: // it says goodbye; whether it may speak again is not its own to decide
		if why := c.reply(m, serials, Success); why != "" {
			return why
		}
		return "goodbye"
	case TerminalReply:
		return c.answered(m)
	case Report:
		return c.report(m, serials, t)
	case QueryReply:
		return c.found(m, t)
	case Batch:
		return c.batch(m, serials, t)
	}
	return c.reply(m, serials, Unsupported)
}

func (c *conn) reading(t devices.Terminal, m Message) Reading {
	return Reading{Datum: t.Datum, Makers: c.g.o.Makers(t.Model), V2019: m.V2019}
}

func (c *conn) report(m Message, serials []uint16, t devices.Terminal) string {
	l, f := OpenLocation(m.Body)
	var o devices.Observation
	if f == nil {
		o, f = l.Observation(c.reading(t, m))
	}
	if f != nil {
		return c.wrong(m, serials, f)
	}
	var sent time.Time
	if c.live(o.At) {
		sent = o.At
	}
	if !c.publish([]devices.Observation{o}, sent) {
		return ""
	}
	return c.reply(m, serials, Success)
}

// How far apart two reports must be to tell whether they come as they are made, and by how much their times may then differ from that.
const (
	liveSpacing = 20 * time.Second
	liveJitter  = 3 * time.Second
)

// live says whether a report comes as it is made: since the one before, the terminal's clock went on as ours did. Then its time is the time of
// sending, however wrong the clock is. What was stored without a network comes faster than it was made.
func (c *conn) live(of time.Time) bool {
	now := c.g.o.Clock.Now()
	spacing, told := now.Sub(c.heardAt), of.Sub(c.heardOf)
	first := c.heardAt.IsZero()
	c.heardAt, c.heardOf = now, of
	return !first && spacing >= liveSpacing && (spacing-told).Abs() <= liveJitter
}

// batch publishes what a batch holds, in its order, and answers when all of it is safe. What cannot be read of it would not be
// better another time: it is traced, and the rest counts.
func (c *conn) batch(m Message, serials []uint16, t devices.Terminal) string {
	locations, faults, f := OpenBatch(m.Body)
	if f != nil {
		return c.wrong(m, serials, f)
	}
	list := make([]devices.Observation, 0, len(locations))
	for i := range locations {
		f := faults[i]
		var o devices.Observation
		if f == nil {
			o, f = locations[i].Observation(c.reading(t, m))
		}
		if f != nil {
			c.g.tracer.refuse(c.serial, f, locationSize)
			continue
		}
		list = append(list, o)
	}
	if len(list) == 0 {
		return c.reply(m, serials, Wrong)
	}
	if !c.publish(list, time.Time{}) {
		return ""
	}
	return c.reply(m, serials, Success)
}

// publish hands observations to the broker, oldest runs first, and says whether it has acknowledged all of them. sent is the
// terminal's own time now, where it is known.
func (c *conn) publish(list []devices.Observation, sent time.Time) bool {
	start := time.Now()
	ctx, cancel := context.WithTimeout(c.ctx, c.g.o.Limits.Publish)
	defer cancel()
	var receipts []mqttlink.Receipt
	for run := range runs(list) {
		payload, err := devices.AppendJSON(nil, c.envelope(run, sent))
		if err != nil { // a bug of ours: what a location can say always fits
			c.g.metrics.unpublished.Inc()
			c.g.o.Log.Error("an observation could not be put into words", "serial", string(c.serial), "err", err)
			return false
		}
		receipts = append(receipts, c.g.link.Send(topic.Up(c.serial, run[0].Kind), 1, payload))
	}
	for _, r := range receipts {
		if err := r.Wait(ctx); err != nil {
			c.g.metrics.unpublished.Inc()
			c.g.o.Log.Debug("not published", "serial", string(c.serial), "err", err)
			return false
		}
	}
	c.g.metrics.publish.Observe(time.Since(start).Seconds())
	for i := range list {
		c.g.metrics.observations.WithLabelValues(string(list[i].Kind)).Inc()
	}
	return true
}

// envelope is the message around observations of one kind. The wire has no time of sending; but what a terminal timed later than now it
// sent later than that, by its own clock, and so the clock's error is told (R38).
func (c *conn) envelope(run []devices.Observation, sent time.Time) devices.Report {
	r := devices.Report{Boot: -1, Sent: sent, Observations: run}
	if run[0].Place != nil {
		r.Datum = run[0].Place.Datum
	}
	now := c.g.o.Clock.Now()
	for i := range run {
		if at := run[i].At; at.After(now) && at.After(r.Sent) {
			r.Sent = at
		}
	}
	return r
}

// runs cuts a list where the kind or the datum changes, and at the most of one payload.
func runs(list []devices.Observation) func(yield func([]devices.Observation) bool) {
	same := func(a, b *devices.Observation) bool {
		return a.Kind == b.Kind && (a.Place == nil || b.Place == nil || a.Place.Datum == b.Place.Datum)
	}
	return func(yield func([]devices.Observation) bool) {
		for len(list) > 0 {
			n := 1
			for n < len(list) && n < maxTogether && same(&list[0], &list[n]) {
				n++
			}
			if !yield(list[:n]) {
				return
			}
			list = list[n:]
		}
	}
}

// reply sends a general reply for every part of a message.
func (c *conn) reply(m Message, serials []uint16, r Result) string {
	for _, s := range serials {
		c.g.metrics.replies.WithLabelValues(r.String()).Inc()
		if _, err := c.write(m.Header, PlatformReply, AppendReply(nil, Reply{s, m.ID, r})); err != nil {
			return "lost"
		}
	}
	return ""
}

// write sends a message to the terminal, in the edition and under the number of the one it answers, and returns its serial.
func (c *conn) write(to Header, id ID, body []byte) (uint16, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.writeLocked(to, id, body)
}

func (c *conn) writeLocked(to Header, id ID, body []byte) (uint16, error) {
	serial := c.next
	m := Message{Header: Header{ID: id, V2019: to.V2019, Protocol: to.Protocol, Phone: to.Phone, Serial: serial}, Body: body}
	var wire []byte
	var err error
	n := 1
	if len(body) <= maxBody {
		wire, err = Append(nil, m)
	} else {
		wire, n, err = AppendParts(nil, m, maxBody)
	}
	if err != nil {
		return serial, err
	}
	c.next += uint16(n)
	if err := c.net.SetWriteDeadline(time.Now().Add(c.g.o.Limits.Write)); err != nil {
		return serial, err
	}
	_, err = c.net.Write(wire)
	return serial, err
}
