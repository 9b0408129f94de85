package mqttlink

import (
	"context"
	"fmt"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// Receipt is a publish that has been handed over and is not yet known to have arrived.
type Receipt struct {
	token paho.Token
	conn  *connection
	err   error
}

// Send publishes without waiting for the acknowledgement; Receipt.Wait does. Messages sent one after the other arrive in
// that order.
func (l *Link) Send(topic string, qos byte, payload []byte) Receipt {
	return l.send(topic, qos, false, payload)
}

// SendRetained is Send with the retain flag: no device of ours sets it, but a device may.
func (l *Link) SendRetained(topic string, qos byte, payload []byte) Receipt {
	return l.send(topic, qos, true, payload)
}

func (l *Link) send(topic string, qos byte, retain bool, payload []byte) Receipt {
	l.mu.Lock()
	c := l.conn
	l.mu.Unlock()
	if c == nil {
		return Receipt{err: ErrNotConnected}
	}
	return Receipt{token: c.client.Publish(topic, qos, retain, payload), conn: c}
}

// Wait returns nil when the broker has acknowledged, or at QoS 0 when the message has been written. The token's error
// says nothing before it is done, and nothing once the connection is gone.
func (r Receipt) Wait(ctx context.Context) error {
	if r.err != nil {
		return r.err
	}
	select {
	case <-r.token.Done():
	case <-r.conn.gone.Done():
		// Both may be ready; an acknowledgement that came counts.
		select {
		case <-r.token.Done():
		default:
			return ErrConnectionLost
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := r.token.Error(); err != nil {
		return fmt.Errorf("mqttlink: publish: %w", err)
	}
	return nil
}

// Publish sends one message and waits for its acknowledgement.
func (l *Link) Publish(ctx context.Context, topic string, qos byte, payload []byte) error {
	return l.Send(topic, qos, payload).Wait(ctx)
}
