package broker

import (
	"fmt"
	"strconv"

	"github.com/nats-io/nats-server/v2/server"

	"zhijiao/internal/topic"
)

// MQTT topics are NATS subjects with dots. One mapping for each topic shape; "up.*" alone matches nothing we publish.
const mappedFrom = "up.*.*"

func mappedTo(partitions int) string {
	return fmt.Sprintf("p.{{partition(%d,1)}}.up.{{wildcard(1)}}.{{wildcard(2)}}", partitions)
}

// partitioner computes the subject a device's publish is mapped to with the server's own transform, so that permission
// and mapping cannot disagree.
type partitioner func(subject string) (string, error)

func newPartitioner(partitions int) (partitioner, error) {
	tr, err := server.NewSubjectTransform(mappedFrom, mappedTo(partitions))
	if err != nil {
		return nil, fmt.Errorf("broker: mapping of topics to partitions: %w", err)
	}
	return tr.Match, nil
}

// devicePermissions are exactly what one device may do. The server checks a publish after mapping it, so these are the
// mapped subjects: were it p.*, a device could choose its own partition.
func (p partitioner) devicePermissions(serial string) (*server.Permissions, error) {
	publish := make([]string, 0, len(topic.Kinds))
	for _, kind := range topic.Kinds {
		subject, err := p("up." + serial + "." + string(kind))
		if err != nil {
			return nil, fmt.Errorf("broker: partition of %s: %w", serial, err)
		}
		publish = append(publish, subject)
	}
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: publish},
		Subscribe: &server.SubjectPermission{Allow: []string{"down." + serial + ".cmd"}},
	}, nil
}

// servicePermissions are what one of our own sessions may do, and whether it is one we know.
func servicePermissions(client string, partitions int) (*server.Permissions, bool) {
	nothing := &server.SubjectPermission{Deny: []string{">"}}
	if k, ok := topic.IngestPartition(client); ok && k < partitions {
		return &server.Permissions{
			Publish:   nothing,
			Subscribe: &server.SubjectPermission{Allow: []string{"p." + strconv.Itoa(k) + ".up.*.*"}},
		}, true
	}
	if topic.IsCommandClient(client) {
		return &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: []string{"down.*.cmd"}},
			Subscribe: nothing,
		}, true
	}
	// A gateway has authenticated its terminals itself; which partition is theirs only the mapping says.
	if topic.IsGatewayClient(client) {
		return &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: []string{"p.*.up.*.*"}},
			Subscribe: &server.SubjectPermission{Allow: []string{"down.*.cmd"}},
		}, true
	}
	return nil, false
}
