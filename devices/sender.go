package devices

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/internal/clock"
)

const (
	sendBatch   = 200
	sendTimeout = 2 * time.Second // of a whole batch, so that rows are not held longer: what devices say of commands waits for them
	firstRetry  = 15 * time.Second
	lastRetry   = 5 * time.Minute
	lately      = 2 * time.Minute // whoever was not heard for so long is silent
	returnLook  = 5 * time.Second // between looks for those who were and came back
)

// SenderOptions are what a Sender is built of.
type SenderOptions struct {
	Pool     *pgxpool.Pool
	Clock    clock.Clock
	Publish  func(ctx context.Context, serial Serial, payload []byte) error // to the device's topic, QoS 0
	Poll     time.Duration                                                  // machine time between looks; 250 ms when zero
	Log      *slog.Logger
	Register prometheus.Registerer // nil: no metrics
}

// Sender sends commands to devices. The broker carries them at QoS 0, so a command is sent again, at growing intervals of
// domain time, until it is answered or expires, and at once when a device that had been silent is heard: its delivery state is in
// the database and survives everything. Any number of senders may run.
type Sender struct {
	o    SenderOptions
	wake chan struct{} // capacity 1: a wake-up while one is pending changes nothing
	sent *prometheus.CounterVec

	mu     sync.Mutex
	looked time.Time // domain time of the last look for devices that came back
}

// NewSender returns a sender that does nothing before Run.
func NewSender(o SenderOptions) *Sender {
	if o.Poll == 0 {
		o.Poll = 250 * time.Millisecond
	}
	s := &Sender{o: o, wake: make(chan struct{}, 1), sent: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "zhijiao", Name: "command_attempts_total", Help: "Attempts to send a command, by kind and result.",
	}, []string{"kind", "result"})}
	if o.Register != nil {
		o.Register.MustRegister(s.sent)
	}
	return s
}

// Wake makes the sender look at once: a transaction with commands has just been committed.
func (s *Sender) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run sends what is due until ctx ends, and returns then.
func (s *Sender) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		n, err := s.SendDue(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil != failing { // once, not at every look while the database is away
			failing = err != nil
			if failing {
				s.o.Log.Warn("commands cannot be sent", "component", "sender", "err", err)
			} else {
				s.o.Log.Info("commands are sent again", "component", "sender")
			}
		}
		if n == sendBatch && err == nil {
			s.Wake()
		}
		timer.Reset(s.o.Poll)
	}
}

// SendDue makes one attempt at every command that is due, up to a batch, and returns how many it looked at.
func (s *Sender) SendDue(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	now := s.o.Clock.Now()
	n := 0
	var failed error
	err := pgx.BeginFunc(ctx, s.o.Pool, func(tx pgx.Tx) error {
		if s.looks(now) {
			if err := wakeReturned(ctx, tx, now); err != nil {
				return err
			}
		}
		list, err := takeDue(ctx, tx, now, sendBatch)
		if err != nil || len(list) == 0 {
			return err
		}
		for i := range list {
			failed = errors.Join(failed, s.attempt(ctx, now, &list[i], failed != nil))
		}
		n = len(list)
		return saveAttempts(ctx, tx, now, list)
	})
	if err != nil {
		return 0, fmt.Errorf("send commands: %w", err)
	}
	return n, failed
}

// looks says whether it is time to look for devices that came back.
func (s *Sender) looks(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.looked.IsZero() && now.Sub(s.looked) < returnLook && !now.Before(s.looked) {
		return false
	}
	s.looked = now
	return true
}

// attempt sends one command and says when it is due again. After a failure the rest of the batch only waits: the broker is
// away for all of them.
func (s *Sender) attempt(ctx context.Context, now time.Time, c *dueCommand, skip bool) error {
	alive := now.Before(c.Expires) && s.o.Clock.Now().Before(c.Expires) // those before it in the batch may have taken their time
	switch {
	case c.revoked:
		c.state, c.reason = CommandFailed, ReasonRevoked
	case !alive && c.refused:
		c.state = CommandFailed
	case !alive:
		c.state = CommandExpired
	}
	if c.state != "" {
		s.sent.WithLabelValues(string(c.Kind), string(c.state)).Inc()
		return nil
	}
	wait := retryAfter(c.attempts)
	var err error
	if skip {
		wait = firstRetry
	} else if err = s.o.Publish(ctx, c.serial, AppendCommandJSON(nil, c.CommandMessage)); err != nil {
		wait = firstRetry
		s.sent.WithLabelValues(string(c.Kind), "failed").Inc()
		err = fmt.Errorf("publish command %d: %w", c.ID, err)
	} else {
		c.sent, c.silent = true, now.Sub(c.heardAt) > lately
		s.sent.WithLabelValues(string(c.Kind), "sent").Inc()
	}
	c.next = now.Add(wait)
	if c.next.After(c.Expires) {
		c.next = c.Expires // to end it
	}
	return err
}

// retryAfter is how long after an attempt the next one is due, in domain time.
func retryAfter(attempts int) time.Duration {
	wait := firstRetry
	for range attempts {
		if wait *= 2; wait >= lastRetry {
			return lastRetry
		}
	}
	return wait
}
