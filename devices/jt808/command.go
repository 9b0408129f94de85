package jt808

import (
	"encoding/binary"
	"time"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

// maxSent is how many commands wait for an answer on one connection. They are sent again anyway.
const maxSent = 32

// sentCommand is a command on its way to a terminal, by the serial of the message that carried it.
type sentCommand struct {
	serial  uint16
	command devices.CommandID
	kind    devices.CommandKind
	check   id.Check
}

// Parameters of a terminal (0x8103) that the interval of reports consists of; seconds, but for the first.
const (
	paramStrategy = 0x0020 // 0: by time
	paramSleeping = 0x0027
	paramDefault  = 0x0029
)

// Bits of the flag of a text (0x8300). Of the first two, 2013 knows the urgent one alone; in 2019 together they are a kind, of
// which 1 is "service" and 2 "urgent".
const (
	textUrgent2013 = 1 << 0
	textUrgent2019 = 2
	textShow       = 1 << 2
	textSpeak      = 1 << 3
	textNotice     = 1 // 2019: 文本类型, a notice
)

// lookText stands in for vibrating, which the standard has no message for: an urgent text makes a terminal ring or shake.
const lookText = "请立即查看终端"

// carry sends commands to the terminal until the connection ends.
func (c *conn) carry() {
	for {
		select {
		case <-c.ctx.Done():
			return
		case m := <-c.commands:
			c.g.metrics.commands.WithLabelValues(commandLabel(m.Kind), c.send(m)).Inc()
		}
	}
}

// send sends one command and says what became of it.
func (c *conn) send(m devices.CommandMessage) string {
	if !m.Expires.IsZero() && !c.g.o.Clock.Now().Before(m.Expires) {
		return "expired"
	}
	if r, known := c.g.settled.of(m.ID); known { // it is carried out once, however often it comes
		c.say(m.ID, r, time.Time{})
		return "again"
	}
	messageID, body, ok := commandBody(m, c.head.V2019)
	if !ok {
		return "unsupported"
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	serial, err := c.writeLocked(c.head, messageID, body)
	if err != nil {
		c.end("lost")
		return "failed"
	}
	if len(c.sent) == maxSent {
		c.sent = c.sent[1:]
	}
	c.sent = append(c.sent, sentCommand{serial, m.ID, m.Kind, m.Check})
	return "sent"
}

// commandBody is what a command is on this wire.
func commandBody(m devices.CommandMessage, v2019 bool) (ID, []byte, bool) {
	switch m.Kind {
	case devices.CommandCheck, devices.CommandLocate:
		return QueryLocation, nil, true
	case devices.CommandText:
		return Text, AppendText(nil, m.Text, false, v2019), true
	case devices.CommandVibrate:
		return Text, AppendText(nil, lookText, true, v2019), true
	case devices.CommandInterval:
		return SetParameters, AppendInterval(nil, m.Every), m.Every > 0
	}
	return 0, nil, false
}

// commandLabel keeps what a newer program may send out of the labels.
func commandLabel(k devices.CommandKind) string {
	switch k {
	case devices.CommandCheck, devices.CommandLocate, devices.CommandText, devices.CommandVibrate, devices.CommandInterval:
		return string(k)
	}
	return "other"
}

// AppendText appends the body of a text to be shown and, when urgent, spoken.
func AppendText(dst []byte, text string, urgent, v2019 bool) []byte {
	flag := byte(textShow)
	switch {
	case urgent && v2019:
		flag |= textSpeak | textUrgent2019
	case urgent:
		flag |= textSpeak | textUrgent2013
	case v2019:
		flag |= 1 // service
	}
	dst = append(dst, flag)
	if v2019 {
		dst = append(dst, textNotice)
	}
	gbk, err := encoding.ReplaceUnsupported(simplifiedchinese.GBK.NewEncoder()).Bytes([]byte(text))
	if err != nil {
		gbk = []byte(text)
	}
	return append(dst, gbk...)
}

// AppendInterval appends the body that sets the interval of reports, awake and asleep.
func AppendInterval(dst []byte, every time.Duration) []byte {
	seconds := uint32(max(1, every/time.Second))
	dst = append(dst, 3)
	for _, p := range [][2]uint32{{paramStrategy, 0}, {paramSleeping, seconds}, {paramDefault, seconds}} {
		dst = binary.BigEndian.AppendUint32(dst, p[0])
		dst = append(dst, 4)
		dst = binary.BigEndian.AppendUint32(dst, p[1])
	}
	return dst
}

// takeSent finds the command a terminal answers, and forgets it if that is the answer to it.
func (c *conn) takeSent(serial uint16, is func(devices.CommandKind) bool) (sentCommand, bool) {
	c.writing.Lock()
	defer c.writing.Unlock()
	for i := len(c.sent) - 1; i >= 0; i-- {
		if s := c.sent[i]; s.serial == serial && is(s.kind) {
			c.sent = append(c.sent[:i], c.sent[i+1:]...)
			return s, true
		}
	}
	return sentCommand{}, false
}

// findSent finds the command that the message of that serial carried.
func (c *conn) findSent(serial uint16) (sentCommand, bool) {
	c.writing.Lock()
	defer c.writing.Unlock()
	for i := len(c.sent) - 1; i >= 0; i-- {
		if c.sent[i].serial == serial {
			return c.sent[i], true
		}
	}
	return sentCommand{}, false
}

// asks says of a kind whether a place is the answer to it.
func asks(k devices.CommandKind) bool { return k == devices.CommandCheck || k == devices.CommandLocate }

// say has it told how the terminal answered a command.
func (c *conn) say(command devices.CommandID, r Result, at time.Time) {
	o, reason := outcomeOf(r)
	c.g.settled.tell(c.serial, devices.CommandAnswer{Command: command, Outcome: o, Reason: reason, DeviceAt: at})
}

// answered takes a general reply of the terminal to something we sent. That it will look for its place is not yet where it is: it has
// the command, and no more.
func (c *conn) answered(m Message) string {
	r, f := OpenReply(m.Body)
	if f != nil {
		c.g.tracer.refuse(c.serial, f, len(m.Body))
		return ""
	}
	if s, asked := c.findSent(r.Serial); asked && asks(s.kind) && r.Result == Success {
		c.g.settled.tell(c.serial, devices.CommandAnswer{Command: s.command, Outcome: devices.OutcomeReceived})
		return ""
	}
	s, ok := c.takeSent(r.Serial, func(k devices.CommandKind) bool { return !asks(k) || r.Result != Success })
	if !ok {
		return ""
	}
	c.g.metrics.commands.WithLabelValues(commandLabel(s.kind), "answered "+r.Result.String()).Inc()
	if r.Result == Success || r.Result == Unsupported { // it would say so each time
		c.g.settled.put(s.command, r.Result)
	}
	c.say(s.command, r.Result, time.Time{})
	return ""
}

// found takes the answer to a location query: where the terminal is, now, which also tells its clock. It answers the check that asked,
// if it is a place.
func (c *conn) found(m Message, t devices.Terminal) string {
	serial, l, f := OpenQueryReply(m.Body)
	var o devices.Observation
	if f == nil {
		o, f = l.Observation(c.reading(t, m))
	}
	if f != nil {
		c.g.tracer.refuse(c.serial, f, len(m.Body))
		return ""
	}
	s, asked := c.takeSent(serial, asks)
	if asked && o.Place != nil {
		o.Answers = s.check
	}
	if !c.publish([]devices.Observation{o}, l.Time) {
		return "" // whoever asked asks again
	}
	if asked && o.Place != nil {
		c.g.metrics.commands.WithLabelValues(commandLabel(s.kind), "answered success").Inc()
		if s.kind != devices.CommandCheck { // a check is over when the core takes the answer for one; until then it is asked again
			c.g.settled.put(s.command, Success)
			c.say(s.command, Success, l.Time)
		}
	} else if asked {
		c.g.metrics.commands.WithLabelValues(commandLabel(s.kind), "no place").Inc()
	}
	return ""
}
