package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"zhijiao/alerts"
	"zhijiao/console"
	"zhijiao/devices"
)

// alertsLate is how long an entry of the ledger may wait for the reader that raises alerts before that is a fault.
const alertsLate = 10 * time.Second

// health is what /healthz looks at. Parts register what they know of themselves when they start; until then they count as
// not started.
type health struct {
	mu     sync.Mutex
	checks map[string]func(context.Context) error
}

// healthNames are the checks, in the order in which they are told.
var healthNames = []string{"database", "broker", "ingest", "canary", "ledger", "accounting"}

func (h *health) set(name string, check func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.checks == nil {
		h.checks = map[string]func(context.Context) error{}
	}
	h.checks[name] = check
}

func (h *health) run(ctx context.Context, name string) error {
	h.mu.Lock()
	check := h.checks[name]
	h.mu.Unlock()
	if check == nil {
		return errors.New("not started yet")
	}
	return check(ctx)
}

// list gives the console every check, those of more too.
func (h *health) list(more ...string) []console.Check {
	var out []console.Check
	for _, name := range slices.Concat(healthNames, more) {
		out = append(out, console.Check{Name: name, Run: func(ctx context.Context) error { return h.run(ctx, name) }})
	}
	return out
}

// checkDatabase is a fault when the database does not answer. Why it does not is for the log: anybody may ask for health.
func (a *App) checkDatabase(ctx context.Context) error {
	if err := a.pool.Ping(ctx); err != nil {
		a.log.Warn("the database does not answer", "err", err)
		return errors.New("it does not answer")
	}
	return nil
}

// checkLedger is a fault when alerts are late.
func (a *App) checkLedger(ctx context.Context) error {
	waits, err := oldestUnread(ctx, a.pool, alerts.ReaderName)
	if err != nil {
		return errors.New("the ledger cannot be read")
	}
	if waits > alertsLate {
		return fmt.Errorf("the reader that raises alerts is %s behind", waits.Round(time.Second))
	}
	return nil
}

// checkAccounting is a fault when an observation was received and nobody can say what became of it.
func (a *App) checkAccounting(ctx context.Context) error {
	counts, err := devices.LoadCounts(ctx, a.pool)
	if err != nil {
		return errors.New("the counts cannot be read")
	}
	if open := counts.Open(); open != 0 {
		return fmt.Errorf("received and accounted for differ by %d observations", open)
	}
	return nil
}

// gateways are the checks of the wires that are configured beside MQTT.
func (a *App) gateways() (names []string) {
	if a.cfg.JT808.Listen != "" {
		names = append(names, "jt808")
	}
	if a.cfg.OsmAnd.Listen != "" {
		names = append(names, "osmand")
	}
	return names
}
