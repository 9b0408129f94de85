package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/console"
	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/clock"
	"zhijiao/internal/crypto"
	"zhijiao/supervision"
)

const (
	demoPeople     = 50
	demoWristbands = 12
	demoSeed       = 2020
	demoLogin      = "demo"
	demoRate       = 60 // domain seconds a machine second
	demoHour       = 8  // of the day on which domain time begins
)

// demoClock is the clock of a new demo: this morning, a domain minute every second.
func demoClock(machine time.Time) clock.Setting {
	return clock.Setting{Kind: clock.Scaled, At: midnight(machine).Add(demoHour * time.Hour).UTC(), Rate: demoRate}
}

// demo is what was loaded: who may log in, and what lets the people live.
type demo struct {
	login, password string // the password is a new one at each start
	run             func(context.Context) error
}

// loadDemo enters the demo's people, or finds those of an earlier start, connects their devices and makes sure that
// somebody can log in. Nobody moves before run.
func loadDemo(ctx context.Context, a *App) (demo, error) {
	if a.mode != modeRehearsal {
		return demo{}, fmt.Errorf("%w: the demo's people are invented", errMode)
	}
	// Time stands still while they are entered: on a slow machine a device would else be silent before it is connected.
	rate := float64(demoRate)
	if r := a.clock.Read(); r.Kind == clock.Scaled {
		rate = r.Rate
	}
	if err := a.settleClock(ctx, 0); err != nil {
		return demo{}, err
	}
	e := newEnroller(a.pool, a.keys, a.clock)
	c, err := e.county(ctx)
	if err != nil {
		return demo{}, err
	}
	if err := demoCalendar(ctx, a, e); err != nil {
		return demo{}, err
	}
	password, err := demoAccount(ctx, a, e, c)
	if err != nil {
		return demo{}, err
	}
	now := a.clock.Now()
	first, err := firstEnrolled(ctx, a.pool, simulate.SerialPrefix)
	if err != nil {
		return demo{}, err
	}
	if first.IsZero() {
		first = now
	}
	w, plan, err := demoWorld(first, now)
	if err != nil {
		return demo{}, err
	}
	list := newcomers(w, demoPeople, demoWristbands, now, false)
	secrets, err := e.enrol(ctx, c, list)
	if err != nil {
		return demo{}, err
	}
	url, tlsConfig, err := a.devicesLink(secrets)
	if err != nil {
		return demo{}, err
	}
	p := newPeople(w, url, tlsConfig, a.log.With("component", "demo"))
	a.stops.push("simulated devices", func(context.Context) error { p.fleet.Close(); return nil })
	if err := p.connect(ctx, secrets); err != nil {
		return demo{}, err
	}
	start := now
	daily := func(now time.Time) error {
		if err := e.renew(ctx, c, list, now); err != nil {
			return err
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		return w.Add(now, plan.day(plan.dayOf(now)+deedsAhead-1, start))
	}
	if err := a.settleClock(ctx, rate); err != nil {
		return demo{}, err
	}
	return demo{demoLogin, password, func(ctx context.Context) error {
		defer p.fleet.Close()
		return p.live(ctx, a.clock, daily)
	}}, nil
}

// demoWorld is the demo's world from now on, with what was planned when it was first started.
func demoWorld(first, now time.Time) (*simulate.World, *schedule, error) {
	o, err := inventedWorld(demoPeople, demoWristbands, demoSeed, now, now.Unix())
	if err != nil {
		return nil, nil, err
	}
	w, err := simulate.New(o)
	if err != nil {
		return nil, nil, err
	}
	plan := &schedule{seed: demoSeed, people: demoPeople, wristbands: demoWristbands, first: first}
	plan.open(w, &o)
	for day := max(0, plan.dayOf(now)-1); day < plan.dayOf(now)+deedsAhead; day++ {
		if err := w.Add(now, plan.day(day, now)); err != nil {
			return nil, nil, err
		}
	}
	return w, plan, nil
}

// demoCalendar records the days off of this year and the next where the program knows them and nobody has recorded them.
func demoCalendar(ctx context.Context, a *App, e *enroller) error {
	year := a.clock.Now().In(shanghai).Year()
	for _, y := range []int{year, year + 1} {
		spec, ok := geofence.BuiltinCalendar(y)
		if !ok {
			continue
		}
		if _, err := geofence.CalendarOf(ctx, a.pool, y); err == nil {
			continue
		} else if !errors.Is(err, geofence.ErrNotFound) {
			return err
		}
		if err := e.zones.PutCalendar(ctx, 0, spec); err != nil {
			return err
		}
	}
	return nil
}

// devicesLink is where simulated devices connect. The embedded broker learns their secrets at once, and not by the ledger
// in a moment.
func (a *App) devicesLink(secrets map[devices.Serial]string) (string, *tls.Config, error) {
	link, err := a.link()
	if err != nil {
		return "", nil, err
	}
	if a.broker != nil {
		mac := crypto.DeviceMAC(a.keys)
		for serial, secret := range secrets {
			a.broker.Put(string(serial), mac([]byte(secret)))
		}
	}
	return link.URL, link.TLS, nil
}

// demoAccount makes the account that sees the whole city, or gives it a new password.
func demoAccount(ctx context.Context, a *App, e *enroller, c *county) (password string, err error) {
	password = console.RandomPassword()
	taken, err := loginTaken(ctx, a.pool, demoLogin)
	if err != nil {
		return "", err
	}
	if taken {
		return password, console.SetPassword(ctx, a.pool, demoLogin, password)
	}
	officer, err := e.supervision.PutOfficer(ctx, supervision.Officer{Org: c.Department, Name: "演示值班员", Kind: supervision.Enforcement})
	if err != nil {
		return "", err
	}
	_, err = console.AddAccount(ctx, a.pool, console.NewAccount{Name: demoLogin, Officer: officer, Org: c.Department,
		Roles: []console.Role{console.Commander}, Password: password, At: a.clock.Now()})
	if errors.Is(err, console.ErrTaken) { // somebody was quicker; theirs is the account, ours the password
		err = console.SetPassword(ctx, a.pool, demoLogin, password)
	}
	return password, err
}
