package mqttlink

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"time"
)

// dial opens the connection paho is to use, wrapped so that its end is known when it is read or closed. paho tells
// OnConnectionLost only when its workers have stopped, and these wait for our handler: a handler that waits for room in a
// queue would never hear of it.
func (l *Link) dial(u *url.URL, end context.CancelCauseFunc) (net.Conn, error) {
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
	return &watchedConn{Conn: conn, end: end}, nil
}

type watchedConn struct {
	net.Conn
	end context.CancelCauseFunc
}

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.end(fmt.Errorf("mqttlink: connection lost: %w", err))
	}
	return n, err
}

func (c *watchedConn) Close() error {
	c.end(ErrConnectionLost)
	return c.Conn.Close()
}
