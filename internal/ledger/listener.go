package ledger

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Channel is the NOTIFY channel of the ledger.
const Channel = "ledger"

// Listener holds one LISTEN connection and wakes everybody in the process who follows the ledger. It only wakes: when its
// connection is gone, or a notification is lost, polling still finds every row.
type Listener struct {
	pool *pgxpool.Pool
	log  *slog.Logger

	mu      sync.Mutex
	waiting map[chan struct{}]struct{}
}

// NewListener prepares a listener; Run listens.
func NewListener(pool *pgxpool.Pool, log *slog.Logger) *Listener {
	return &Listener{pool: pool, log: log.With("component", "ledger"), waiting: map[chan struct{}]struct{}{}}
}

// Subscribe returns a channel that holds a signal whenever the ledger may have grown since it was last received from.
func (l *Listener) Subscribe() (woken <-chan struct{}, cancel func()) {
	ch := make(chan struct{}, 1) // full: a signal is waiting already, and one is enough
	l.mu.Lock()
	l.waiting[ch] = struct{}{}
	l.mu.Unlock()
	return ch, func() {
		l.mu.Lock()
		delete(l.waiting, ch)
		l.mu.Unlock()
	}
}

func (l *Listener) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for ch := range l.waiting {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// Run listens until ctx ends, and connects again whenever it must.
func (l *Listener) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := l.listen(ctx); err != nil && ctx.Err() == nil {
			l.log.Warn("not listening to the database, polling goes on", "err", err)
			pause(ctx, time.Second)
		}
	}
	return nil
}

func (l *Listener) listen(ctx context.Context) error {
	pooled, err := l.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	conn := pooled.Hijack() // LISTEN stays with the connection: it must not go back to the pool
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN "+Channel); err != nil {
		return err
	}
	l.wake() // whatever came while nobody listened
	for {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
		l.wake()
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
