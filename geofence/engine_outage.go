package geofence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// outageStep is how often it is looked whether an area is away, domain time.
const outageStep = time.Minute

func outageMark(now time.Time) time.Time { return now.Truncate(outageStep) }

func townKey(office id.Org) string {
	if office == 0 {
		return ""
	}
	return strconv.FormatInt(int64(office), 10)
}

// Outages looks whether an area is away, or is back, once in every minute of domain time; any process may. It reports whether
// it looked.
func (e *Engine) Outages(ctx context.Context) (bool, error) {
	mark := outageMark(e.o.Clock.Now())
	if e.outageFront.Load() >= mark.Unix() || !e.o.Hears() {
		return false, nil // who hears nothing himself calls no area silent
	}
	err := e.transact(ctx, "outage", func(ctx context.Context, tx pgx.Tx, _ error) error {
		return e.lookAtAreas(ctx, tx, mark)
	})
	if errors.Is(err, errLooked) {
		err = nil
	}
	if err != nil {
		return false, fmt.Errorf("look for areas that are away: %w", err)
	}
	e.outageFront.Store(mark.Unix())
	return true, nil
}

// errLooked: another process has looked already.
var errLooked = errors.New("looked at already")

func (e *Engine) lookAtAreas(ctx context.Context, tx pgx.Tx, mark time.Time) error {
	if err := claimOutages(ctx, tx, mark); err != nil {
		return err
	}
	list, err := loadWatched(ctx, tx, mark)
	if err != nil {
		return err
	}
	standing, err := openOutages(ctx, tx)
	if err != nil {
		return err
	}
	keys := make([]OutageKey, 0, len(standing))
	for k := range standing {
		keys = append(keys, k)
	}
	ended, err := lastEnded(ctx, tx)
	if err != nil {
		return err
	}
	opens, stand := Areas(list, keys, ended, mark)
	var entries []ledger.Entry
	for i := range opens {
		entry, err := openOutage(ctx, tx, &opens[i], mark)
		if err != nil {
			return err
		}
		entries = append(entries, entry)
	}
	for i := range stand {
		more, err := goOnOutage(ctx, tx, standing[stand[i].OutageKey], &stand[i], mark)
		if err != nil {
			return err
		}
		entries = append(entries, more...)
	}
	if err := verifyHeard(ctx, tx, mark); err != nil {
		return err
	}
	if areas, people, err := countOutages(ctx, tx, mark); err != nil {
		return err
	} else {
		e.metrics.outages.WithLabelValues("areas").Set(float64(areas))
		e.metrics.outages.WithLabelValues("people").Set(float64(people))
	}
	return ledger.Append(ctx, tx, entries...)
}

func outageEntry(kind string, b OutageBody, version int, now time.Time) (ledger.Entry, error) {
	doc, err := json.Marshal(&b)
	return ledger.Entry{At: now, Kind: kind, Entity: "outage", EntityID: int64(b.Outage), Version: version, Body: doc}, err
}
