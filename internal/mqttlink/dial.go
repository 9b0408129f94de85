package mqttlink

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// dial opens the connection paho is to use, wrapped so that its end is known when it is read or closed. paho tells
// OnConnectionLost only when its workers have stopped, and these wait for our handler: a handler that waits for room in a
// queue would never hear of it.
func (l *Link) dial(u *url.URL, c *connection) (net.Conn, error) {
	d := &net.Dialer{Timeout: l.o.Timeout, KeepAlive: 30 * time.Second}
	var conn net.Conn
	var err error
	switch u.Scheme {
	case "tcp", "mqtt":
		conn, err = d.Dial("tcp", u.Host)
	case "tls", "ssl", "mqtts":
		conn, err = tls.DialWithDialer(d, "tcp", u.Host, l.o.TLS)
	default:
		err = fmt.Errorf("mqttlink: scheme %q is neither tcp nor tls", u.Scheme)
	}
	if err != nil {
		return nil, err
	}
	w := &watchedConn{Conn: conn, end: c.end, closed: make(chan struct{})}
	c.conn.Store(w)
	return w, nil
}

// lingerTime bounds how long a connection that is closed in good order waits for the broker to close its side.
const lingerTime = 500 * time.Millisecond

type watchedConn struct {
	net.Conn
	end    context.CancelCauseFunc
	linger atomic.Bool
	once   sync.Once
	closed chan struct{}
}

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.end(fmt.Errorf("mqttlink: connection lost: %w", err))
	}
	return n, err
}

// Close closes. In good order it says first that nothing more will come, and reads until the broker has closed as well: a
// socket closed with something unread in it sends a reset, and that takes acknowledgements on their way to the broker with
// it.
func (c *watchedConn) Close() error {
	c.end(ErrConnectionLost)
	var err error
	c.once.Do(func() {
		if half, ok := underlying(c.Conn).(interface{ CloseWrite() error }); ok && c.linger.Load() && half.CloseWrite() == nil {
			_ = c.Conn.SetReadDeadline(time.Now().Add(lingerTime))
			_, _ = io.Copy(io.Discard, underlying(c.Conn))
		}
		err = c.Conn.Close()
		close(c.closed)
	})
	return err
}

// underlying is the TCP connection below TLS.
func underlying(c net.Conn) net.Conn {
	if t, ok := c.(*tls.Conn); ok {
		return t.NetConn()
	}
	return c
}
