package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/broker"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/topic"
)

// Trap: what is published while no session is subscribed is acknowledged and thrown away.
func TestDevicesAreRefusedBeforeEveryPartitionHasItsReader(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{Partitions: 3, Devices: []string{"WB-1"}})
	refused(t, b.Device("WB-1"))
	got := &mqtttest.Collector{}
	for k := range 2 {
		mqtttest.Link(t, b.Reader(k, got.Handle))
	}
	refused(t, b.Device("WB-1"))
	if b.Embedded.Ready() == nil {
		t.Error("ready with a partition nobody reads")
	}
	if n := metric(t, b, "zhijiao_broker_refused_total", "gate"); n < 2 {
		t.Errorf("%v refusals counted at the gate", n)
	}
	mqtttest.Link(t, b.Reader(2, got.Handle))
	device := mqtttest.Link(t, b.Device("WB-1")) // it tries again until it is let in
	publish(t, device, topic.Up("WB-1", "fix"), "one")
	mqtttest.Eventually(t, "the message comes to a reader", func() bool { return len(got.Messages()) == 1 })
	if err := b.Embedded.Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

// Trap: a device that connects under the ingest session's client id takes the session over; with a clean session it even
// deletes its subscription. The authenticator looks the client id up by the connection id.
func TestClientIDTakeoverIsRefused(t *testing.T) {
	t.Parallel()
	var seen violations
	b, got := open(t, mqtttest.Options{Devices: []string{"WB-1", "WB-2"}, OnViolation: seen.add})
	victim := mqtttest.Link(t, b.Device("WB-2"))

	attack := b.Device("WB-1")
	attack.Username = "WB-1"
	for client, reason := range map[string]broker.Reason{
		topic.IngestClient(0): broker.ReasonClientID, "WB-2": broker.ReasonClientID,
	} {
		attack.ClientID = client
		refused(t, attack)
		mqtttest.Eventually(t, "the attempt is reported", func() bool {
			return seen.has(broker.ActConnect, client, string(reason))
		})
	}
	attack.ClientID, attack.Username = topic.IngestClient(0), topic.IngestClient(0) // as us, with a device's secret
	refused(t, attack)
	attack.ClientID, attack.Username = topic.IngestClient(7), topic.IngestClient(7) // a partition there is not
	attack.Password = mqtttest.ServiceSecret
	refused(t, attack)

	publish(t, victim, topic.Up("WB-2", "fix"), "still here")
	mqtttest.Eventually(t, "the reader still has its subscription", func() bool { return len(got.Messages()) == 1 })
	if up, err := victim.Connected(); !up {
		t.Errorf("the other device was put out: %v", err)
	}
}

func TestWhoIsLetIn(t *testing.T) {
	t.Parallel()
	b, _ := open(t, mqtttest.Options{Devices: []string{"WB-1"}})
	for name, change := range map[string]func(*mqttlink.Options){
		"unknown":      func(o *mqttlink.Options) { o.ClientID, o.Password = "WB-9", mqtttest.Secret("WB-9") },
		"wrong secret": func(o *mqttlink.Options) { o.Password = mqtttest.Secret("WB-9") },
		"no secret":    func(o *mqttlink.Options) { o.Password = "" },
		"no serial":    func(o *mqttlink.Options) { o.ClientID = "WB/1" },
		"service name": func(o *mqttlink.Options) { o.ClientID = "zhijiao:other:1"; o.Password = mqtttest.ServiceSecret },
	} {
		t.Run(name, func(t *testing.T) {
			o := b.Device("WB-1")
			change(&o)
			refused(t, o)
		})
	}
	mqtttest.Link(t, b.Device("WB-1"))
}

// R40 and the trap: a publish beyond a device's permissions is acknowledged and dropped, and only the server's log says
// so. Among them a partition of its own choosing.
func TestForeignPublishIsDroppedCountedAndReported(t *testing.T) {
	t.Parallel()
	var seen violations
	b, got := open(t, mqtttest.Options{Partitions: 4, Devices: []string{"WB-1", "WB-2"}, OnViolation: seen.add})
	device := mqtttest.Link(t, b.Device("WB-1"))
	foreign := []string{"up/WB-2/fix", "up/WB-1/other", "up/WB-1/fix/more", "owntracks/a/b", "owntracks/WB-2/p/event",
		"up/WB-1/owntracks/x", "$SYS/x", "down/WB-1/cmd"}
	for k := range 4 {
		foreign = append(foreign, fmt.Sprintf("p/%d/up/WB-2/fix", k), fmt.Sprintf("p/%d/up/x/y", k))
	}
	for _, f := range foreign {
		publish(t, device, f, "foreign") // acknowledged, all of them
	}
	publish(t, device, topic.Up("WB-1", "status"), "own")
	mqtttest.Eventually(t, "its own message comes", func() bool { return len(got.Messages()) > 0 })
	mqtttest.Eventually(t, "every violation is counted", func() bool {
		return metric(t, b, "zhijiao_broker_violations_total", "publish") == float64(len(foreign))
	})
	mqtttest.Eventually(t, "and reported with who and what", func() bool {
		return seen.has(broker.ActPublish, "WB-1", "up.WB-1.fix.more") && seen.has(broker.ActPublish, "WB-1", "p.2.up.WB-2.fix")
	})
	if p := got.Payloads(); len(p) != 1 || p[0] != "own" {
		t.Errorf("the readers got %v", p)
	}
}

// Trap: with p.* a device could choose its own partition; permitted is the one the broker computes.
func TestSelfChosenPartitionIsRefused(t *testing.T) {
	t.Parallel()
	const n = 4
	b, got := open(t, mqtttest.Options{Partitions: n, Devices: []string{"WB-1"}})
	device := mqtttest.Link(t, b.Device("WB-1"))
	publish(t, device, topic.Up("WB-1", "fix"), "mapped")
	mqtttest.Eventually(t, "the mapped message", func() bool { return len(got.Messages()) == 1 })
	own := got.Messages()[0].Topic
	for k := range n {
		publish(t, device, fmt.Sprintf("p/%d/up/WB-1/fix", k), "chosen")
	}
	mqtttest.Eventually(t, "the other partitions are violations", func() bool {
		return metric(t, b, "zhijiao_broker_violations_total", "publish") == n-1
	})
	for _, m := range got.Messages() {
		if m.Topic != own {
			t.Errorf("a message in %s; the device belongs in %s", m.Topic, own)
		}
	}
}

// Trap: paho reports a refused subscription only in SubscribeToken.Result.
func TestRefusedSubscriptionIsNoticed(t *testing.T) {
	t.Parallel()
	filters := []string{"#", "up/+/+", "p/0/up/+/+", "down/WB-X/cmd", "down/+/cmd", "$SYS/#", "$MQTT/msgs/#"}
	var serials []string
	for i := range filters {
		serials = append(serials, fmt.Sprintf("WB-%d", i))
	}
	b, _ := open(t, mqtttest.Options{Devices: serials})
	for i, filter := range filters {
		o := b.Device(serials[i]) // each its own: the server holds back one that comes again and again
		o.Handler = func(context.Context, mqttlink.Message) {}
		o.Subscribe = []mqttlink.Filter{{Topic: filter, QoS: 1}}
		changes := make(chan error, 16)
		o.OnChange = func(err error) {
			select {
			case changes <- err:
			default:
			}
		}
		l, err := mqttlink.New(o)
		if err != nil {
			t.Fatal(err)
		}
		l.Open()
		var refusal *mqttlink.RefusedError
		select {
		case err := <-changes:
			if !errors.As(err, &refusal) || refusal.Topic != filter {
				t.Errorf("subscription to %s: %v", filter, err)
			}
		case <-time.After(patience):
			t.Errorf("subscription to %s: no answer", filter)
		}
		l.Close()
	}
}

func TestForeignWillIsDroppedAndCounted(t *testing.T) {
	t.Parallel()
	b, got := open(t, mqtttest.Options{Devices: []string{"WB-1"}})
	raw := mqtttest.DialRaw(t, b.URL)
	raw.Write(mqtttest.Connect{ClientID: "WB-1", User: "WB-1", Password: mqtttest.Secret("WB-1"),
		WillTopic: "up/WB-2/status", WillPayload: "forged"}.Packet())
	raw.Read()
	raw.Close()
	mqtttest.Eventually(t, "the forged will is counted", func() bool {
		return metric(t, b, "zhijiao_broker_violations_total", "publish") == 1
	})
	if len(got.Messages()) != 0 {
		t.Errorf("the reader got %v", got.Payloads())
	}
}

// Trap: 5,000 device sessions at QoS 1 cost 475 MB. Commands go down at QoS 0, and only to whom they are for.
func TestCommandsGoDownAtQoS0(t *testing.T) {
	t.Parallel()
	b, _ := open(t, mqtttest.Options{Devices: []string{"PH-1", "PH-2"}})
	var one, two mqtttest.Collector
	for serial, c := range map[string]*mqtttest.Collector{"PH-1": &one, "PH-2": &two} {
		o := b.Device(serial)
		o.Handler = c.Handle
		o.Subscribe = []mqttlink.Filter{{Topic: topic.Down("PH-1"), QoS: 0}}
		if serial == "PH-2" {
			o.Subscribe[0].Topic = topic.Down("PH-2")
		}
		mqtttest.Link(t, o)
	}
	sender := mqtttest.Link(t, b.Service(topic.CommandClient("test")))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := sender.Publish(ctx, topic.Down("PH-1"), 0, []byte("locate")); err != nil {
		t.Fatal(err)
	}
	mqtttest.Eventually(t, "the command comes", func() bool { return one.Has("down/PH-1/cmd", "locate") })
	if n := len(two.Messages()); n != 0 {
		t.Errorf("the other phone got %d", n)
	}
	publish(t, sender, "up/PH-1/fix", "as a device") // the sender of commands may send nothing but commands
	mqtttest.Eventually(t, "a violation", func() bool { return metric(t, b, "zhijiao_broker_violations_total", "publish") == 1 })
}

// A revoked device is cut at once, and a rotated secret keeps the connection that has a good one.
func TestRevokedDeviceIsKicked(t *testing.T) {
	t.Parallel()
	b, _ := open(t, mqtttest.Options{Devices: []string{"WB-1", "WB-2", "WB-3"}})
	lost := map[string]chan error{}
	links := map[string]*mqttlink.Link{}
	for _, s := range []string{"WB-1", "WB-2", "WB-3"} {
		ch := make(chan error, 64)
		lost[s] = ch
		o := b.Device(s)
		o.OnChange = func(err error) {
			if err != nil {
				select {
				case ch <- err:
				default:
				}
			}
		}
		links[s] = mqtttest.Link(t, o)
	}
	b.Embedded.Put("WB-1")
	registry := mqtttest.Registry("WB-3")
	registry["WB-3"] = append(registry["WB-3"], mqtttest.MAC([]byte("the next secret")))
	b.Embedded.Update(registry)
	for _, s := range []string{"WB-1", "WB-2"} {
		select {
		case <-lost[s]:
		case <-time.After(patience):
			t.Fatalf("%s is still connected", s)
		}
	}
	if up, _ := links["WB-3"].Connected(); !up {
		t.Error("WB-3 lost its connection though its secret is still good")
	}
	if n := metric(t, b, "zhijiao_broker_kicked_total"); n != 2 {
		t.Errorf("%v kicked", n)
	}
	mqtttest.Eventually(t, "it is refused from now on", func() bool {
		return metric(t, b, "zhijiao_broker_refused_total", "unknown") > 0
	})
}

// A gateway speaks for its terminals: in whichever partition they are, and not before every one has its reader.
func TestGatewaySpeaksForItsTerminals(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{Partitions: 3})
	got := &mqtttest.Collector{}
	mqtttest.Link(t, b.Reader(0, got.Handle))
	refused(t, b.Service(topic.GatewayClient("test")))
	mqtttest.Link(t, b.Reader(1, got.Handle))
	mqtttest.Link(t, b.Reader(2, got.Handle))
	heard := &mqtttest.Collector{}
	o := b.Service(topic.GatewayClient("test"))
	o.Subscribe, o.Handler = []mqttlink.Filter{{Topic: topic.Down("T-7"), QoS: 0}}, heard.Handle
	gateway := mqtttest.Link(t, o)
	for i := range 20 {
		publish(t, gateway, topic.Up(devices.Serial(fmt.Sprintf("T-%d", i)), "fix"), "one")
	}
	mqtttest.Eventually(t, "all come to a reader", func() bool { return len(got.Messages()) == 20 })
	publish(t, mqtttest.Link(t, b.Service(topic.CommandClient("test"))), topic.Down("T-7"), "locate")
	mqtttest.Eventually(t, "the command comes to the gateway", func() bool { return len(heard.Messages()) == 1 })
}

// The OwnTracks app publishes under its own user name only, whatever it calls its device; all of it, retained or not, goes
// where the rest of that serial goes.
func TestOwnTracksIsMappedToTheDevicesPartition_R40(t *testing.T) {
	t.Parallel()
	b, got := open(t, mqtttest.Options{Partitions: 5, Devices: []string{"PH-1", "PH-2", "PH-3"}})
	for _, serial := range []devices.Serial{"PH-1", "PH-2", "PH-3"} {
		phone := mqtttest.Link(t, b.Device(string(serial)))
		for _, m := range []string{topic.Up(serial, "status"), topic.OwnTracks(serial, "pixel"), topic.OwnTracks(serial, "pixel") + "/event"} {
			publish(t, phone, m, m)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := phone.SendRetained(topic.OwnTracks(serial, "tablet"), 1, []byte("retained")).Wait(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	}
	thief := mqtttest.Link(t, b.Device("PH-2"))
	publish(t, thief, topic.OwnTracks("PH-1", "pixel"), "forged")
	mqtttest.Eventually(t, "the forged one is counted", func() bool { return metric(t, b, "zhijiao_broker_violations_total", "publish") == 1 })
	mqtttest.Eventually(t, "the others come", func() bool { return len(got.Messages()) == 12 })
	partition := map[devices.Serial]string{}
	for _, m := range got.Messages() {
		serial, kind, ok := topic.Parse(m.Topic)
		if want := string(m.Payload); !ok || kind == devices.KindOwnTracks != (strings.HasPrefix(want, "owntracks/") || want == "retained") {
			t.Errorf("%q came as %s", m.Payload, m.Topic)
		}
		p, _, _ := strings.Cut(strings.TrimPrefix(m.Topic, "p/"), "/")
		if was, seen := partition[serial]; seen && was != p {
			t.Errorf("%s is in partitions %s and %s", serial, was, p)
		}
		partition[serial] = p
	}
}
