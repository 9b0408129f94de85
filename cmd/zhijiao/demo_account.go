package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

// account is what the platform says of fixes, of all devices and in rows of some.
type account struct {
	counts  devices.Counts           // of fixes, of the whole platform
	rows    int64                    // fixes of the replayed devices that are stored
	refused map[devices.Reason]int64 // traces of theirs in the quarantine
}

// account reads the platform's account and the rows of the replayed devices.
func (r *replayer) account(ctx context.Context, secrets map[devices.Serial]string) (a account, err error) {
	all, err := devices.LoadCounts(ctx, r.pool)
	if err != nil {
		return a, err
	}
	a.counts = devices.Counts{}
	for k, n := range all {
		if k.Kind == devices.KindFix {
			a.counts[k] = n
		}
	}
	var ids []id.Device
	for serial := range secrets {
		d, err := devices.Find(ctx, r.pool, serial)
		if err != nil {
			return a, err
		}
		ids = append(ids, d.ID)
	}
	if a.rows, err = fixRows(ctx, r.pool, ids); err != nil {
		return a, err
	}
	a.refused, err = refusedRows(ctx, r.pool, ids)
	return a, err
}

func (a account) received() int64 { return a.counts.Total(devices.Received) }

// less is what came after before.
func (a account) less(before account) account {
	d := account{counts: maps.Clone(a.counts), rows: a.rows - before.rows, refused: maps.Clone(a.refused)}
	for k, n := range before.counts {
		d.counts[k] -= n
	}
	for k, n := range before.refused {
		d.refused[k] -= n
	}
	return d
}

// settled waits until as many fixes were received as were sent. A server that is away for a while is waited for.
func (r *replayer) settled(ctx context.Context, secrets map[devices.Serial]string, before account, sent int64, progress io.Writer) (account, error) {
	b, best, since := bar{out: progress, what: "taken in"}, int64(-1), time.Now()
	for {
		counts, err := devices.LoadCounts(ctx, r.pool)
		var got int64
		if err == nil {
			got = counts[devices.CountKey{Kind: devices.KindFix, Outcome: devices.Received}] - before.received()
			b.show(min(got, sent), sent)
			if got >= sent {
				return r.account(ctx, secrets)
			}
		}
		if got > best {
			best, since = got, time.Now()
		}
		if time.Since(since) > replayPatience {
			return account{}, errors.Join(fmt.Errorf("%d of %d observations were taken in, and nothing more for %v", best, sent, replayPatience), err)
		}
		select {
		case <-ctx.Done():
			return account{}, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// report tells what became of what was sent, and fails when it does not add up. a is what came since the replay began,
// whole is the account as it stands.
func (a account) report(out io.Writer, sent int64, whole account) error {
	var err error
	line := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(out, format+"\n", args...)
		}
	}
	total := a.counts.Total
	line("%-24s %10d", "sent", sent)
	line("%-24s %10d", "received", a.received())
	line("%-24s %10d", "stored", total(devices.Stored))
	for _, o := range []devices.Outcome{devices.Withheld, devices.Rejected} {
		reasons := map[devices.Reason]int64{}
		for k, n := range a.counts {
			if k.Outcome == o && n != 0 {
				reasons[k.Reason] += n
			}
		}
		for _, reason := range slices.Sorted(maps.Keys(reasons)) {
			line("%-24s %10d", string(o)+" "+string(reason), reasons[reason])
		}
		if len(reasons) == 0 {
			line("%-24s %10d", o, 0)
		}
	}
	line("%-24s %10d", "duplicate", total(devices.Duplicate))
	line("%-24s %10d", "rows of these devices", a.rows)
	if err != nil {
		return err
	}
	if open := whole.counts.Open(); open != 0 {
		return fmt.Errorf("the account does not close: %d observations are received and nowhere", open)
	}
	line("received = stored + withheld + rejected + duplicate")
	switch extra := a.received() - sent; {
	case a.rows == total(devices.Stored):
		line("stored = rows")
	case extra == 0:
		return fmt.Errorf("%d are told to be stored and there are %d rows", total(devices.Stored), a.rows)
	default: // others published meanwhile, so the platform's account is not ours alone
		line("%d more were received meanwhile: sent again after a lost connection, or from other devices", extra)
	}
	return err
}
