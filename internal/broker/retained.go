package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// nats-server keeps the last retained message of every topic on disk, in plain text and for good, and has no switch against
// it. What a device says may be unlawful to keep at all (社区矫正法 29): so the stream it keeps them in is one of ours, in
// memory, whose messages are gone after a second. A message that is retained is delivered like any other.
const (
	retainedStream  = "$MQTT_rmsgs"
	retainedSubject = "$MQTT.rmsgs.>"
	retainedFor     = time.Second
)

// forgetRetained puts that stream in the place of the server's own. MQTT clients are let in afterwards. In a cluster it is there when
// two of the nodes have found each other; whoever is first makes it.
func (b *Broker) forgetRetained(ctx context.Context) error {
	conn, err := nats.Connect("", nats.InProcessServer(b.server), nats.Token(b.internal), nats.Name("zhijiao"))
	if err != nil {
		return fmt.Errorf("broker: connect inside: %w", err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	if b.opts.Cluster == nil {
		return keepRetainedInMemory(ctx, js, 1)
	}
	for {
		attempt, cancel := context.WithTimeout(ctx, clusterTimeout)
		err := keepRetainedInMemory(attempt, js, Nodes)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		b.log.Info("waiting for the other nodes", "node", b.opts.Cluster.Node, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(clusterRetry):
		}
	}
}

// clusterRetry is the pause before the other nodes are asked again.
const clusterRetry = 500 * time.Millisecond

func keepRetainedInMemory(ctx context.Context, js jetstream.JetStream, replicas int) error {
	s, err := js.Stream(ctx, retainedStream)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
	case err != nil:
		return fmt.Errorf("broker: look at retained messages: %w", err)
	case s.CachedInfo().Config.Storage == jetstream.MemoryStorage:
		return nil
	default: // of a version that kept them
		if err := js.DeleteStream(ctx, retainedStream); err != nil {
			return fmt.Errorf("broker: drop retained messages: %w", err)
		}
	}
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: retainedStream, Subjects: []string{retainedSubject}, Storage: jetstream.MemoryStorage,
		Retention: jetstream.LimitsPolicy, Replicas: replicas, MaxMsgsPerSubject: 1, MaxAge: retainedFor, Duplicates: retainedFor})
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return fmt.Errorf("broker: keep retained messages in memory: %w", err)
	}
	return nil
}
