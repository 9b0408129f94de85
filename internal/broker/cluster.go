package broker

import (
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
	o.Cluster = server.ClusterOpts{Name: "zhijiao", Host: host, Port: n, Username: clusterUser, Password: secret, AuthTimeout: 10,
		TLSConfig: c.TLS, TLSTimeout: 10, NoAdvertise: true}
	for _, peer := range c.Peers {
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats-route", Host: peer, User: url.UserPassword(clusterUser, secret)})
	}
	o.MQTT.StreamReplicas = Nodes
	o.MQTT.JSAPITimeout = clusterTimeout
}
