package mqttlink

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// ErrNotConnected is what a publish returns while there is no connection.
var ErrNotConnected = errors.New("mqttlink: not connected")

// ErrConnectionLost is what a publish returns when its connection ended before the broker acknowledged: it may or may not
// have arrived, and has to be sent again.
var ErrConnectionLost = errors.New("mqttlink: connection lost before the broker acknowledged")

// RefusedError is a subscription the broker refused.
type RefusedError struct{ Topic string }

// Error names the topic.
func (e *RefusedError) Error() string {
	return "mqttlink: the broker refused the subscription to " + e.Topic
}

// Link is one MQTT session of ours. Open and Close may alternate.
type Link struct {
	o    Options
	urls []string // the nodes of the broker
	node atomic.Uint32

	mu   sync.Mutex
	stop context.CancelFunc // of the running loop; nil when closed
	done chan struct{}      // closed when that loop has ended
	conn *connection        // nil while there is none
	up   chan struct{}      // closed while there is one
	last error
}

// connection is one paho client, from its CONNECT until it is gone.
type connection struct {
	client   paho.Client
	gone     context.Context
	end      context.CancelCauseFunc
	conn     atomic.Pointer[watchedConn]
	handling sync.Mutex // held while the handler runs
}

// finish disconnects and returns when no handler is running nor will be. In good order, what is on its way out is
// given the time to arrive.
func (c *connection) finish(cause error, goodOrder bool) {
	c.end(cause)
	conn := c.conn.Load()
	if !goodOrder || conn == nil {
		c.client.Disconnect(0)
	} else {
		conn.linger.Store(true)
		c.client.Disconnect(uint(lingerTime.Milliseconds()))
		select {
		case <-conn.closed:
		case <-time.After(2 * lingerTime):
		}
	}
	c.handling.Lock()
	defer c.handling.Unlock()
}

// New prepares a link; nothing is connected before Open.
func New(o Options) (*Link, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	l := &Link{o: o, urls: strings.Split(o.URL, ","), up: make(chan struct{})}
	for i, one := range l.urls {
		l.urls[i] = strings.TrimSpace(one)
		u, err := url.Parse(l.urls[i])
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("mqttlink: broker URL %q", one)
		}
		if (u.Scheme == "tls" || u.Scheme == "ssl" || u.Scheme == "mqtts") && o.TLS == nil {
			return nil, fmt.Errorf("mqttlink: %s needs a TLS configuration", one)
		}
	}
	return l, nil
}

// url is the node that is tried now.
func (l *Link) url() string { return l.urls[int(l.node.Load())%len(l.urls)] }

// Open connects, and goes on connecting whenever the connection is lost, until Close. It does not wait: see WaitUp.
func (l *Link) Open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stop != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.stop, l.done = cancel, make(chan struct{})
	go l.loop(ctx, l.done)
}

// Close disconnects and stays closed until Open. The session of a persistent link remains at the broker. When it returns,
// no handler is running.
func (l *Link) Close() {
	l.mu.Lock()
	stop, done := l.stop, l.done
	l.stop = nil
	l.mu.Unlock()
	if stop != nil {
		stop()
	}
	if done != nil {
		<-done
	}
}

// WaitUp waits for a connection with every subscription granted. When ctx ends first, it says why the last attempt failed.
func (l *Link) WaitUp(ctx context.Context) error {
	for {
		l.mu.Lock()
		up, connected, last := l.up, l.conn != nil, l.last
		l.mu.Unlock()
		if connected {
			return nil
		}
		select {
		case <-up:
		case <-ctx.Done():
			if last != nil {
				return fmt.Errorf("%w: %w", ctx.Err(), last)
			}
			return ctx.Err()
		}
	}
}

// Connected says whether there is a connection with every subscription granted, and if not, why the last one failed.
func (l *Link) Connected() (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn != nil, l.last
}

func (l *Link) loop(ctx context.Context, done chan struct{}) {
	defer close(done)
	backoff := l.o.BackoffMin
	for ctx.Err() == nil {
		c, err := l.connect(ctx)
		if err == nil {
			backoff = l.o.BackoffMin
			l.set(c, nil)
			select {
			case <-ctx.Done():
				// Acknowledgements already given are sent before the DISCONNECT.
				l.set(nil, nil)
				c.finish(context.Canceled, true)
				return
			case <-c.gone.Done():
				err = context.Cause(c.gone)
				c.finish(err, false)
			}
		}
		if ctx.Err() != nil {
			l.set(nil, nil)
			return
		}
		l.set(nil, err)
		l.node.Add(1)
		// Full jitter: thousands of devices that lost one broker do not come back in one moment.
		select {
		case <-ctx.Done():
		case <-time.After(backoff/2 + rand.N(backoff/2+1)):
		}
		backoff = min(2*backoff, l.o.BackoffMax)
	}
}

func (l *Link) set(c *connection, err error) {
	l.mu.Lock()
	was := l.conn != nil
	l.conn, l.last = c, err
	if c != nil && !was {
		close(l.up)
	} else if c == nil && was {
		l.up = make(chan struct{})
	}
	l.mu.Unlock()
	if err != nil {
		l.o.Log.Warn("no connection to the broker", "client", l.o.ClientID, "error", err)
	}
	if l.o.OnChange != nil && (c != nil || err != nil) {
		l.o.OnChange(err)
	}
}

// connect returns when the broker has accepted the connection and granted every subscription.
func (l *Link) connect(ctx context.Context) (*connection, error) {
	if l.o.Allowed != nil {
		if err := l.o.Allowed(); err != nil {
			return nil, fmt.Errorf("mqttlink: not to be connected now: %w", err)
		}
	}
	c := &connection{}
	c.gone, c.end = context.WithCancelCause(ctx)
	subscribed := make(chan error, 1)
	c.client = paho.NewClient(l.pahoOptions(c, subscribed))
	token := c.client.Connect()
	timeout := time.NewTimer(l.o.Timeout + time.Second)
	defer timeout.Stop()
	fail := func(err error) (*connection, error) {
		c.finish(err, false)
		return nil, err
	}
	select {
	case <-token.Done():
		if err := token.Error(); err != nil {
			return fail(fmt.Errorf("mqttlink: connect to %s: %w", l.url(), err))
		}
	case <-ctx.Done():
		return fail(ctx.Err())
	case <-timeout.C:
		return fail(fmt.Errorf("mqttlink: connect to %s: timed out", l.url()))
	}
	select {
	case err := <-subscribed:
		if err != nil {
			return fail(err)
		}
		return c, nil
	case <-c.gone.Done():
		return fail(context.Cause(c.gone))
	case <-timeout.C:
		return fail(errors.New("mqttlink: no SUBACK in time"))
	}
}

func (l *Link) pahoOptions(c *connection, subscribed chan<- error) *paho.ClientOptions {
	o := paho.NewClientOptions().
		AddBroker(l.url()).
		SetClientID(l.o.ClientID).
		SetUsername(l.o.Username).
		SetPassword(l.o.Password).
		SetProtocolVersion(4).
		SetCleanSession(!l.o.Persistent).
		SetOrderMatters(true).
		SetAutoAckDisabled(l.o.ManualAck).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetKeepAlive(l.o.KeepAlive).
		SetPingTimeout(l.o.Timeout).
		SetConnectTimeout(l.o.Timeout).
		SetWriteTimeout(l.o.Timeout)
	if l.o.Will != nil {
		o.SetBinaryWill(l.o.Will.Topic, l.o.Will.Payload, l.o.Will.QoS, false)
	}
	// What a persistent session has waiting comes before our SUBSCRIBE is answered: so it is the default handler that
	// takes everything, and the subscriptions have none of their own.
	o.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
		c.handling.Lock()
		defer c.handling.Unlock()
		if l.o.Handler != nil && c.gone.Err() == nil {
			l.o.Handler(c.gone, Message{Topic: m.Topic(), Payload: m.Payload(), QoS: m.Qos(), Duplicate: m.Duplicate(),
				Retained: m.Retained(), ack: m.Ack})
		}
	})
	o.SetCustomOpenConnectionFn(func(u *url.URL, _ paho.ClientOptions) (net.Conn, error) { return l.dial(u, c) })
	o.SetConnectionLostHandler(func(_ paho.Client, err error) {
		c.end(fmt.Errorf("mqttlink: connection lost: %w", err))
	})
	o.SetOnConnectHandler(func(client paho.Client) { subscribed <- l.subscribe(c, client) })
	return o
}

func (l *Link) subscribe(c *connection, client paho.Client) error {
	if len(l.o.Subscribe) == 0 {
		return nil
	}
	filters := make(map[string]byte, len(l.o.Subscribe))
	for _, f := range l.o.Subscribe {
		filters[f.Topic] = f.QoS
	}
	token := client.SubscribeMultiple(filters, nil)
	select {
	case <-token.Done():
	case <-c.gone.Done():
		return context.Cause(c.gone)
	case <-time.After(l.o.Timeout):
		return errors.New("mqttlink: no SUBACK in time")
	}
	if err := token.Error(); err != nil {
		return fmt.Errorf("mqttlink: subscribe: %w", err)
	}
	st, ok := token.(*paho.SubscribeToken)
	if !ok {
		return errors.New("mqttlink: subscribe: no result")
	}
	granted := st.Result()
	for _, f := range l.o.Subscribe {
		// Anything but the QoS asked for is refused: a session that was granted less would lose messages quietly.
		if qos, found := granted[f.Topic]; !found || qos != f.QoS {
			return &RefusedError{Topic: f.Topic}
		}
	}
	return nil
}
