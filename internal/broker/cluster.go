package broker

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// clusterUser is whom the nodes greet each other as; their password is that of our own sessions.
const clusterUser = "zhijiao"

// clusterTimeout is how long a node waits for the others to take what it was given, such as while they agree on who leads. A client
// that waits longer is cut and sends again.
const clusterTimeout = 10 * time.Second

// join has a server be one of a cluster. Streams of MQTT are kept by all three: nats-server derives that from the routes.
func (c *Cluster) join(o *server.Options, secret string) {
	host, port, _ := net.SplitHostPort(c.Listen)
	n, _ := strconv.Atoi(port)
	o.ServerName = "zhijiao-" + c.Node
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
