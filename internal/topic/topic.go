// Package topic is the layout of everything that goes through the broker: what devices publish, where the broker's
// mapping puts it, what goes down to a device, and the names under which our own sessions connect. It knows no payload
// and no connection.
//
//	up/{serial}/fix|checkin|status       published by a device
//	owntracks/{serial}/{device}[/...]    published by the OwnTracks app; its device name means nothing to us
//	p/{k}/up/{serial}/fix|...|owntracks  both after the embedded broker put them into partition k
//	down/{serial}/cmd                    commands for a device, QoS 0
//	zhijiao/probe/...                    what we send ourselves to see what a broker that is not ours would drop
package topic

import (
	"strconv"
	"strings"

	"zhijiao/devices"
)

// Kinds are the last levels under up/{serial} a device may publish, in the order of the wire document.
var Kinds = []devices.Kind{devices.KindFix, devices.KindCheckIn, devices.KindStatus}

// MaxSerial is the length of the longest serial.
const MaxSerial = 64

// Up is where a device publishes.
func Up(serial devices.Serial, kind devices.Kind) string {
	return "up/" + string(serial) + "/" + string(kind)
}

// Down is where a device listens for commands.
func Down(serial devices.Serial) string { return "down/" + string(serial) + "/cmd" }

// PartitionFilter is what the owner of partition k subscribes to. Never "#": it costs two consumers each.
func PartitionFilter(k int) string { return "p/" + strconv.Itoa(k) + "/up/+/+" }

// UnmappedFilter is where devices publish, as seen on a broker that cannot map.
const UnmappedFilter = "up/+/+"

// UnmappedFilters are all that ingest subscribes to on a broker that cannot map. No topic matches two of them.
var UnmappedFilters = []string{UnmappedFilter, "owntracks/+/+", "owntracks/+/+/+"}

// OwnTracks is where the OwnTracks app publishes places; events, way-points and its own affairs lie one level below.
func OwnTracks(serial devices.Serial, device string) string {
	return "owntracks/" + string(serial) + "/" + device
}

// CanaryPrefix begins the serials of the devices by which a process tries the whole path: its own, with secrets nobody else learns.
const CanaryPrefix = "canary-"

// ServicePrefix begins the client id and user name of every session that is ours. A serial holds no colon, so no device
// can be called like one of us.
const ServicePrefix = "zhijiao:"

// IngestClient is the client id of the session that reads partition k. It is the same in every process: a successor
// takes the session over with what it has not acknowledged.
func IngestClient(k int) string { return ServicePrefix + "ingest:" + strconv.Itoa(k) }

// CommandClient is the client id of one sender of commands.
func CommandClient(instance string) string { return ServicePrefix + "command:" + instance }

// GatewayClient is the client id of one gateway: it speaks for terminals that do not speak MQTT, each under its own serial.
func GatewayClient(instance string) string { return ServicePrefix + "gateway:" + instance }

// IsGatewayClient says whether it is the client id of a gateway.
func IsGatewayClient(client string) bool {
	s, ok := strings.CutPrefix(client, ServicePrefix+"gateway:")
	return ok && s != ""
}

// IngestPartition is the partition of an IngestClient, and whether it is one.
func IngestPartition(client string) (int, bool) {
	s, ok := strings.CutPrefix(client, ServicePrefix+"ingest:")
	if !ok {
		return 0, false
	}
	k, err := strconv.Atoi(s)
	return k, err == nil && k >= 0 && strconv.Itoa(k) == s
}

// ProbePrefix begins the topics of the probe.
const ProbePrefix = "zhijiao/probe/"

// ProbeClient is the client id of one of the two sessions of a probe.
func ProbeClient(instance string) string { return ServicePrefix + "probe:" + instance }

// WatchClient is the client id of the session that reads what a broker says of itself.
func WatchClient(instance string) string { return ServicePrefix + "watch:" + instance }

// IsCommandClient says whether it is the client id of a sender of commands.
func IsCommandClient(client string) bool {
	s, ok := strings.CutPrefix(client, ServicePrefix+"command:")
	return ok && s != ""
}

// ValidSerial says whether s may be a device: [A-Za-z0-9_-]{1,64}.
func ValidSerial(s string) bool {
	if s == "" || len(s) > MaxSerial {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' {
			continue
		}
		return false
	}
	return true
}

// Parse takes a topic apart, mapped or not. The serial is "" where the topic does not give a valid one; ok is false
// where the topic has no shape we know, and kind is then KindUnknown.
func Parse(topic string) (serial devices.Serial, kind devices.Kind, ok bool) {
	rest, mapped := topic, false
	if after, found := strings.CutPrefix(topic, "p/"); found {
		k, tail, found := strings.Cut(after, "/")
		if _, err := strconv.ParseUint(k, 10, 16); !found || err != nil {
			return "", devices.KindUnknown, false
		}
		rest, mapped = tail, true
	}
	if own, found := strings.CutPrefix(rest, "owntracks/"); found && !mapped {
		return parseOwnTracks(own)
	}
	rest, found := strings.CutPrefix(rest, "up/")
	if !found {
		return "", devices.KindUnknown, false
	}
	s, k, found := strings.Cut(rest, "/")
	if ValidSerial(s) {
		serial = devices.Serial(s)
	}
	if !found || serial == "" {
		return serial, devices.KindUnknown, false
	}
	for _, known := range Kinds {
		if k == string(known) {
			return serial, known, true
		}
	}
	if mapped && k == string(devices.KindOwnTracks) {
		return serial, devices.KindOwnTracks, true
	}
	return serial, devices.KindUnknown, false
}

// parseOwnTracks reads {user}/{device} and {user}/{device}/{what}.
func parseOwnTracks(rest string) (serial devices.Serial, kind devices.Kind, ok bool) {
	s, device, found := strings.Cut(rest, "/")
	if ValidSerial(s) {
		serial = devices.Serial(s)
	}
	if !found || serial == "" || device == "" || strings.Count(device, "/") > 1 {
		return serial, devices.KindUnknown, false
	}
	return serial, devices.KindOwnTracks, true
}
