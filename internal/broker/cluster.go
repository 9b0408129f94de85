package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// clusterUser is whom the nodes greet each other as; their password is that of our own sessions.
const clusterUser = "zhijiao"

// serverPrefix begins the names under which nodes know each other.
const serverPrefix = "zhijiao-"

// clusterTimeout is how long a node waits for the others to take what it was given, such as while they agree on who leads. A client
// that waits longer is cut and sends again.
const clusterTimeout = 10 * time.Second

// join has a server be one of a cluster. Streams of MQTT are kept by all three: nats-server derives that from the routes.
func (c *Cluster) join(o *server.Options, secret string) {
	host, port, _ := net.SplitHostPort(c.Listen)
	n, _ := strconv.Atoi(port)
	o.ServerName = serverPrefix + c.Node
	// nats-server calls the other nodes only when its own listener is open. It is on loopback, at a free port, and the authenticator
	// lets nobody in there.
	o.DontListen, o.Host, o.Port = false, "127.0.0.1", server.RANDOM_PORT
	o.Cluster = server.ClusterOpts{Name: "zhijiao", Host: host, Port: n, Username: clusterUser, Password: secret, AuthTimeout: 10,
		TLSConfig: c.TLS, TLSTimeout: 10, NoAdvertise: true}
	for _, peer := range c.Peers {
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats-route", Host: peer, User: url.UserPassword(clusterUser, secret)})
	}
	o.MQTT.StreamReplicas = Nodes
	o.MQTT.JSAPITimeout = clusterTimeout
}

// current is nil when this node has everything the others have agreed on. One that is behind does not know every consumer, and
// nats-server acknowledges and throws away what it believes nobody reads: it must not take part in losing another node.
func (b *Broker) current() error {
	if b.opts.Cluster == nil {
		return nil
	}
	if h := b.server.Healthz(&server.HealthzOptions{}); h.StatusCode != 200 {
		return fmt.Errorf("broker: node %s is behind the others: %s", b.opts.Cluster.Node, h.Error)
	}
	return nil
}

// catchUp waits until this node is current.
func (b *Broker) catchUp(ctx context.Context) error {
	for {
		err := b.current()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(clusterRetry):
		}
	}
}

const (
	gateSubject = "zhijiao.gate" // nodes ask each other on it; no client may publish or subscribe there
	gateAnswer  = 500 * time.Millisecond
	gateSettle  = 250 * time.Millisecond // for so long all must have said so: a leader's choice is with the others by then
)

// gateReply is what a node that knows every partition's reader answers.
type gateReply struct {
	Node  string `json:"node"`
	Begun []int  `json:"begun"` // partitions whose consumer has begun, as far as it knows
}

// answer tells other nodes whether every partition has its reader as far as this one knows. The connection ends with the server.
func (b *Broker) answer() error {
	if b.opts.Cluster == nil {
		return nil
	}
	conn, err := nats.Connect("", nats.InProcessServer(b.server), nats.Token(b.internal), nats.Name("zhijiao"), nats.NoReconnect())
	if err != nil {
		return fmt.Errorf("broker: connect inside: %w", err)
	}
	b.inside = conn
	_, err = conn.Subscribe(gateSubject, func(m *nats.Msg) {
		if b.gate.here.Load() {
			doc, err := json.Marshal(gateReply{b.opts.Cluster.Node, slices.Collect(maps.Keys(*b.gate.begun.Load()))})
			if err != nil {
				panic(err) // there is nothing in it that cannot be written
			}
			_ = m.Respond(doc) // no answer is an answer
		}
	})
	if err != nil {
		return fmt.Errorf("broker: answer other nodes: %w", err)
	}
	return conn.Flush()
}

// everywhere is nil when every node that is there knows every partition's reader, and one of them that it has begun. Each keeps what it is
// given only if it knows somebody who reads it, and any of them may have to answer for it alone with one other.
func (b *Broker) everywhere() error {
	if b.opts.Cluster == nil {
		return nil
	}
	if b.inside == nil {
		return errors.New("broker: starting")
	}
	routes, err := b.server.Routez(nil)
	if err != nil {
		return fmt.Errorf("broker: list nodes: %w", err)
	}
	want := map[string]bool{b.opts.Cluster.Node: true}
	for _, r := range routes.Routes {
		want[strings.TrimPrefix(r.RemoteName, serverPrefix)] = true
	}
	if len(want) < 2 {
		return errors.New("broker: no other node is there")
	}
	inbox := nats.NewInbox()
	answers, err := b.inside.SubscribeSync(inbox)
	if err != nil {
		return fmt.Errorf("broker: ask other nodes: %w", err)
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := b.inside.PublishRequest(gateSubject, inbox, nil); err != nil {
		return fmt.Errorf("broker: ask other nodes: %w", err)
	}
	begun := partitions{}
	for end := time.Now().Add(gateAnswer); len(want) > 0; {
		m, err := answers.NextMsg(time.Until(end))
		if err != nil {
			return fmt.Errorf("broker: %d nodes do not know every partition's reader yet", len(want))
		}
		var reply gateReply
		if err := json.Unmarshal(m.Data, &reply); err != nil {
			return fmt.Errorf("broker: read another node's answer: %w", err)
		}
		delete(want, reply.Node)
		for _, k := range reply.Begun {
			begun[k] = true
		}
	}
	if n := b.opts.Partitions - len(begun); n > 0 {
		return fmt.Errorf("broker: the readers of %d partitions have not begun", n)
	}
	return nil
}
