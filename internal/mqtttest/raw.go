package mqtttest

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// Raw is an MQTT 3.1.1 connection written by hand, for what no client library would send.
type Raw struct {
	t    testing.TB
	conn net.Conn
}

// Connect is a CONNECT packet. will is left out when its topic is empty.
type Connect struct {
	ClientID, User, Password string
	WillTopic, WillPayload   string
	KeepSession              bool
}

// DialRaw opens a TCP connection to the broker's URL.
func DialRaw(t testing.TB, url string) *Raw {
	t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(url, "tcp://"), 5*time.Second)
	if err != nil {
		t.Fatalf("mqtttest: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &Raw{t: t, conn: conn}
}

// Write sends packets in one segment.
func (r *Raw) Write(packets ...[]byte) {
	r.t.Helper()
	var all []byte
	for _, p := range packets {
		all = append(all, p...)
	}
	if _, err := r.conn.Write(all); err != nil {
		r.t.Fatalf("mqtttest: %v", err)
	}
}

// Read returns the type of the next packet (2 CONNACK, 4 PUBACK) and its body; 0 when the connection has ended.
func (r *Raw) Read() (kind byte, body []byte) {
	r.t.Helper()
	_ = r.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	head := make([]byte, 2)
	if _, err := io.ReadFull(r.conn, head); err != nil {
		return 0, nil
	}
	body = make([]byte, head[1]) // what a broker answers us with is short
	if _, err := io.ReadFull(r.conn, body); err != nil {
		return 0, nil
	}
	return head[0] >> 4, body
}

// Close ends the connection without a DISCONNECT: the broker publishes the will.
func (r *Raw) Close() { _ = r.conn.Close() }

// Packet encodes the CONNECT.
func (c Connect) Packet() []byte {
	body := append(str("MQTT"), 4)
	flags := byte(0xC0)
	if !c.KeepSession {
		flags |= 0x02
	}
	if c.WillTopic != "" {
		flags |= 0x04 | 0x08 // QoS 1
	}
	body = append(body, flags, 0, 60)
	body = append(body, str(c.ClientID)...)
	if c.WillTopic != "" {
		body = append(body, str(c.WillTopic)...)
		body = append(body, str(c.WillPayload)...)
	}
	body = append(body, str(c.User)...)
	body = append(body, str(c.Password)...)
	return packet(0x10, body)
}

// PublishPacket encodes a QoS 1 PUBLISH.
func PublishPacket(id uint16, topic string, payload []byte) []byte {
	body := binary.BigEndian.AppendUint16(str(topic), id)
	return packet(0x32, append(body, payload...))
}

func packet(first byte, body []byte) []byte {
	out := []byte{first}
	for n := len(body); ; {
		b := byte(n % 128)
		if n /= 128; n > 0 {
			out = append(out, b|0x80)
			continue
		}
		out = append(out, b)
		break
	}
	return append(out, body...)
}

func str(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}
