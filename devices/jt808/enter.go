package jt808

import (
	"errors"
	"time"

	"zhijiao/devices"
)

// register answers a registration. A terminal that nobody knows is refused, and so is a known one that nobody has let register:
// whoever knows a number could otherwise fetch its code.
func (c *conn) register(m Message) string {
	serial, ok := SerialOf(m.Phone)
	id, f := OpenRegistration(m.Body, m.V2019)
	if f != nil {
		c.g.tracer.refuse(serial, f, len(m.Body))
		return "stranger"
	}
	refuse := func(why devices.Reason, result byte) string {
		c.g.tracer.refuse(serial, &devices.Fault{Reason: why, Field: "registration"}, len(m.Body))
		if c.early++; c.early > maxEarly {
			return "stranger"
		}
		return c.answerRegistration(m, result, "")
	}
	if !c.g.o.Terminals.Loaded() || !c.g.mayLookUp() {
		return "not ready"
	}
	select {
	case c.g.lookups <- struct{}{}:
	case <-c.ctx.Done():
		return "stopped"
	}
	defer func() { <-c.g.lookups }()
	if !ok {
		return refuse(devices.UnknownDevice, NoSuchTerminal)
	}
	code, err := c.g.o.Register(c.ctx, serial, id.String())
	switch {
	case errors.Is(err, devices.ErrUnknownDevice):
		return refuse(devices.UnknownDevice, NoSuchTerminal)
	case errors.Is(err, devices.ErrNotOpen), errors.Is(err, devices.ErrRevoked):
		return refuse(devices.NotPermitted, AlreadyRegistered)
	case err != nil:
		c.g.o.Log.Warn("a registration got no answer", "serial", string(serial), "err", err)
		return "not ready" // it tries again
	}
	c.g.o.Log.Info("a terminal registered", "serial", string(serial), "make", id.String())
	return c.answerRegistration(m, Registered, code)
}

func (c *conn) answerRegistration(m Message, result byte, code string) string {
	if _, err := c.write(m.Header, RegistrationReply, AppendRegistrationReply(nil, m.Serial, result, code)); err != nil {
		return "lost"
	}
	return ""
}

// authenticate compares the code with the secrets of the terminal. A connection authenticates once: for another terminal, or with a
// wrong code, it ends.
func (c *conn) authenticate(m Message) string {
	if !c.g.o.Terminals.Loaded() {
		return "not ready"
	}
	serial, ok := SerialOf(m.Phone)
	code, f := OpenAuthentication(m.Body, m.V2019)
	var t devices.Terminal
	if ok {
		t, ok = c.g.o.Terminals.Find(serial)
	}
	mac := c.g.o.MAC(code) // also for nobody: how long it takes tells nothing
	switch {
	case f != nil:
	case !ok:
		f = &devices.Fault{Reason: devices.UnknownDevice, Field: "authentication"}
	case !t.Knows(mac):
		f = &devices.Fault{Reason: devices.NotPermitted, Field: "authentication"}
	}
	if f != nil {
		c.g.tracer.refuse(serial, f, len(m.Body))
		c.reply(m, []uint16{m.Serial}, Failed)
		return "not authenticated"
	}
	select {
	case <-time.After(c.g.turn(serial)):
	case <-c.ctx.Done():
		return "stopped"
	}
	if c.serial == "" {
		c.serial, c.mac, c.head = serial, mac, m.Header
		c.g.take(c)
		c.g.running.Add(1)
		go func() { defer c.g.running.Done(); c.carry() }()
	}
	return c.reply(m, []uint16{m.Serial}, Success)
}
