package jt808

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/devices"
	"zhijiao/internal/clock"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/topic"
)

const patience = 20 * time.Second

// place is a gateway at a broker of its own, with whoever reads what comes out.
type place struct {
	*testing.T
	g         *Gateway
	broker    *mqtttest.B
	up        *mqtttest.Collector
	line      *line // between the gateway and the broker
	terminals *devices.Terminals
	clock     *clock.Variable
	metrics   *prometheus.Registry
	sender    *mqttlink.Link // of commands; nil: none yet

	mu     sync.Mutex
	traces []devices.Refused
	open   map[devices.Serial]string // who may register, and the code for it
	said   []devices.CommandAnswer
	deaf   bool // and will not hear what is done
}

func newPlace(t *testing.T, change func(*Options)) *place {
	t.Helper()
	return newPlaceAt(t, mqtttest.Embedded, change)
}

func newPlaceAt(t *testing.T, kind mqtttest.Kind, change func(*Options)) *place {
	t.Helper()
	p := &place{T: t, broker: mqtttest.Broker(t, mqtttest.Options{Kind: kind}), up: &mqtttest.Collector{}, terminals: new(devices.Terminals),
		clock: clock.NewStepped(noon), metrics: prometheus.NewPedanticRegistry(), open: map[devices.Serial]string{}}
	mqtttest.Link(t, p.broker.Reader(0, p.up.Handle))
	p.line = newLine(t, strings.TrimPrefix(p.broker.URL, "tcp://"))
	p.terminals.Replace(nil)
	link := p.broker.Service(topic.GatewayClient("test"))
	link.URL = "tcp://" + p.line.l.Addr().String()
	o := Options{Listen: "127.0.0.1:0", Link: link, Terminals: p.terminals, MAC: mqtttest.MAC, Clock: p.clock, Registry: p.metrics,
		Register: p.register, Quarantine: p.quarantine, Answer: p.answered, Makers: func(model string) bool { return model == "known" }}
	o.Limits.Login = time.Millisecond
	if change != nil {
		change(&o)
	}
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(); err != nil {
		t.Fatal(err)
	}
	p.g = g
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := g.Stop(ctx); err != nil {
			t.Error(err)
		}
		if all, known := g.counts(); all != 0 || known != 0 {
			t.Errorf("%d connections, %d terminals after the end", all, known)
		}
	})
	mqtttest.Eventually(t, "the gateway is at the broker", func() bool { return g.Ready() == nil })
	return p
}

// enrol lets a terminal in; its code is mqtttest.Secret of its serial.
func (p *place) enrol(phone string, change func(*devices.Terminal)) {
	serial, _ := SerialOf(phone)
	t := devices.Terminal{MACs: [][]byte{mqtttest.MAC([]byte(mqtttest.Secret(string(serial))))}, Model: "W-100"}
	if change != nil {
		change(&t)
	}
	p.terminals.Put(map[devices.Serial]devices.Terminal{serial: t})
}

func (p *place) register(_ context.Context, serial devices.Serial, _ string) (string, error) {
	if _, known := p.terminals.Find(serial); !known {
		return "", devices.ErrUnknownDevice
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	code, open := p.open[serial]
	if !open {
		return "", devices.ErrNotOpen
	}
	return code, nil
}

func (p *place) quarantine(_ context.Context, list []devices.Refused) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.traces = append(p.traces, list...)
	return nil
}

func (p *place) answered(_ context.Context, _ devices.Serial, a devices.CommandAnswer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.deaf {
		return errors.New("the database is away")
	}
	p.said = append(p.said, a)
	return nil
}

// saidOf is what was told of a command, in order.
func (p *place) saidOf(c devices.CommandID) (out []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.said {
		if a.Command == c {
			out = append(out, strings.TrimSpace(string(a.Outcome)+" "+a.Reason))
		}
	}
	return out
}

// commandsDone is what was told of commands carried out.
func (p *place) commandsDone() []devices.CommandID {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []devices.CommandID
	for _, a := range p.said {
		if a.Outcome == devices.OutcomeDone {
			out = append(out, a.Command)
		}
	}
	return out
}

// traced waits for a trace.
func (p *place) traced(serial devices.Serial, why devices.Reason, field string) {
	p.Helper()
	mqtttest.Eventually(p.T, "a trace: "+string(why)+" "+field, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, r := range p.traces {
			if r.Serial == serial && r.Reason == why && r.Field == field && r.Outcome == devices.Rejected && len(r.Payload) == 0 {
				return true
			}
		}
		return false
	})
}

// heard waits until so many observations have come out for the terminal, and opens what they were told in.
func (p *place) heard(phone string, n int) []devices.Observation {
	p.Helper()
	serial, _ := SerialOf(phone)
	var out []devices.Observation
	mqtttest.Eventually(p.T, "observations of "+string(serial), func() bool {
		out = nil
		for _, m := range p.up.Messages() {
			from, kind, ok := topic.Parse(m.Topic)
			if from != serial {
				continue
			}
			msg := devices.DecodeJSON(devices.Raw{Serial: from, Kind: kind, Payload: m.Payload, ReceivedAt: noon.Add(24 * time.Hour)},
				devices.DecodeOptions{Key: digestKey})
			if !ok || len(msg.Faults) > 0 {
				p.Fatalf("%s: %v", m.Topic, msg.Faults)
			}
			out = append(out, msg.Observations...)
		}
		return len(out) >= n
	})
	return out
}

// count is a counter's value.
func (p *place) count(name string, labels ...string) float64 {
	p.Helper()
	all, err := p.metrics.Gather()
	if err != nil {
		p.Fatal(err)
	}
	sum := 0.0
	for _, f := range all {
		if f.GetName() != "zhijiao_jt808_"+name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			for _, want := range labels {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetValue() == want
				}
				if !found {
					continue series
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// ended waits until so many connections have ended for that reason: it is counted after they are closed.
func (p *place) ended(why string, n float64) {
	p.Helper()
	mqtttest.Eventually(p.T, "ended: "+why, func() bool { return p.count("ended_total", why) == n })
}

// terminal is a terminal as the standard has it.
type terminal struct {
	*testing.T
	net   net.Conn
	head  Header
	split Splitter
	queue []Message
	next  uint16
}

// connect opens a connection for a terminal that says nothing yet.
func (p *place) connect(phone string) *terminal {
	p.Helper()
	n, err := net.Dial("tcp", p.g.Addr().String())
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = n.Close() })
	return &terminal{T: p.T, net: n, head: Header{Phone: phone, V2019: len(phone) == 20, Protocol: 1}}
}

// login connects and authenticates.
func (p *place) login(phone string) *terminal {
	p.Helper()
	t := p.connect(phone)
	if r := t.ask(Authentication, t.code()); r.Result != Success {
		p.Fatalf("%s is not let in: %v", phone, r.Result)
	}
	return t
}

func (t *terminal) code() []byte {
	serial, _ := SerialOf(t.head.Phone)
	return AppendAuthentication(nil, []byte(mqtttest.Secret(string(serial))), t.head.V2019)
}

func (t *terminal) message(id ID, body []byte) Message {
	m := Message{Header: t.head, Body: body}
	m.ID, m.Serial = id, t.next
	t.next++
	return m
}

func (t *terminal) write(b []byte) {
	t.Helper()
	if _, err := t.net.Write(b); err != nil {
		t.Fatal(err)
	}
}

// send sends a message and returns its serial.
func (t *terminal) send(id ID, body []byte) uint16 {
	t.Helper()
	m := t.message(id, body)
	b, err := Append(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	t.write(b)
	return m.Serial
}

// receive returns the next message from the platform.
func (t *terminal) receive() Message {
	t.Helper()
	m, err := t.read(patience)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (t *terminal) read(wait time.Duration) (Message, error) {
	buf := make([]byte, 4096)
	_ = t.net.SetReadDeadline(time.Now().Add(wait))
	for len(t.queue) == 0 {
		n, err := t.net.Read(buf)
		t.split.Split(buf[:n], func(frame []byte, f *devices.Fault) bool {
			m, bad := Open(frame)
			if f != nil || bad != nil || m.Phone != t.head.Phone || m.V2019 != t.head.V2019 {
				t.Errorf("from the platform: %v %v %+v", f, bad, m.Header)
			}
			t.queue = append(t.queue, m)
			return true
		})
		if err != nil && len(t.queue) == 0 {
			return Message{}, err
		}
	}
	m := t.queue[0]
	t.queue = t.queue[1:]
	return m, nil
}

// reply receives a general reply, which must be to that message.
func (t *terminal) reply(serial uint16, to ID) Reply {
	t.Helper()
	m := t.receive()
	r, f := OpenReply(m.Body)
	if m.ID != PlatformReply || f != nil || r.Serial != serial || r.ID != to {
		t.Fatalf("%04x %+v %v is no reply to %d %04x", uint16(m.ID), r, f, serial, uint16(to))
	}
	return r
}

// ask sends a message and returns the reply to it.
func (t *terminal) ask(id ID, body []byte) Reply {
	t.Helper()
	return t.reply(t.send(id, body), id)
}

// closed waits until the platform has closed the connection; what it says before is of no interest.
func (t *terminal) closed() {
	t.Helper()
	for {
		if _, err := t.read(patience); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the connection stays open")
		} else if err != nil {
			return
		}
	}
}

// line stands between the gateway and the broker. Mute, it carries what the gateway says and nothing back.
type line struct {
	l     net.Listener
	mute  atomic.Bool
	dead  atomic.Bool
	mu    sync.Mutex
	conns []net.Conn
}

func newLine(t *testing.T, target string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &line{l: l}
	t.Cleanup(func() { _ = l.Close(); p.cut() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			if p.dead.Load() {
				_ = in.Close()
				continue
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				_ = in.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, in, out)
			p.mu.Unlock()
			go p.carry(out, in, false)
			go p.carry(in, out, true)
		}
	}()
	return p
}

func (p *line) carry(to, from net.Conn, back bool) {
	defer func() { _, _ = from.Close(), to.Close() }()
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if n > 0 && !(back && p.mute.Load()) {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *line) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// publishCommand sends a command down as the platform does.
func (p *place) publishCommand(serial devices.Serial, m devices.CommandMessage) {
	p.Helper()
	if p.sender == nil {
		p.sender = mqtttest.Link(p.T, p.broker.Service(topic.CommandClient("test")))
	}
	if err := p.sender.Publish(p.Context(), topic.Down(serial), 0, devices.AppendCommandJSON(nil, m)); err != nil {
		p.Fatal(err)
	}
}
