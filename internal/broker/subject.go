package broker

import (
	"fmt"
	"strconv"

	"github.com/nats-io/nats-server/v2/server"

	"zhijiao/devices"
	"zhijiao/internal/topic"
)

// mapping is one shape of topic and where it goes. MQTT topics are NATS subjects with dots.
type mapping struct{ from, to string }

// mappings has one for each shape of topic; "up.*" alone matches nothing we publish. What OwnTracks calls a device is
// dropped: all it says goes to the partition of its user, where one consumer reads it with the rest.
func mappings(partitions int) []mapping {
	up := fmt.Sprintf("p.{{partition(%d,1)}}.up.{{wildcard(1)}}.", partitions)
	return []mapping{
		{"up.*.*", up + "{{wildcard(2)}}"},
		{"owntracks.*.*", up + string(devices.KindOwnTracks)},
		{"owntracks.*.*.*", up + string(devices.KindOwnTracks)}, // events, way-points
	}
}

// partitioner computes the subject a device's publish is mapped to with the server's own transform, so that permission
// and mapping cannot disagree.
type partitioner func(subject string) (string, error)

func newPartitioner(partitions int) (partitioner, error) {
	transforms := make([]server.SubjectTransformer, 0, 3)
	for _, m := range mappings(partitions) {
		tr, err := server.NewSubjectTransform(m.from, m.to)
		if err != nil {
			return nil, fmt.Errorf("broker: mapping of topics to partitions: %w", err)
		}
		transforms = append(transforms, tr)
	}
	return func(subject string) (string, error) {
		for _, tr := range transforms {
			if mapped, err := tr.Match(subject); err == nil {
				return mapped, nil
			}
		}
		return "", server.ErrNoTransforms
	}, nil
}

// devicePermissions are exactly what one device may do. The server checks a publish after mapping it, so these are the
// mapped subjects: were it p.*, a device could choose its own partition.
func (p partitioner) devicePermissions(serial string) (*server.Permissions, error) {
	from := []string{"owntracks." + serial + ".any"}
	for _, kind := range topic.Kinds {
		from = append(from, "up."+serial+"."+string(kind))
	}
	publish := make([]string, 0, len(from))
	for _, f := range from {
		subject, err := p(f)
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
