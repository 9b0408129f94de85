package broker

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

// logger takes nats-server's log into ours, and reads from it what the server says nowhere else: a publish that breaks
// its permissions is acknowledged and dropped, and only the log tells.
type logger struct {
	log     *slog.Logger
	violate func(Violation)
	fatal   func(string) // nats-server would end the process; we end the broker
}

// Noticef implements server.Logger. What nats-server notes is of interest to who looks into the broker, not to an operator.
func (l *logger) Noticef(format string, args ...any) { l.log.Debug(fmt.Sprintf(format, args...)) }
func (l *logger) Warnf(format string, args ...any)   { l.log.Warn(fmt.Sprintf(format, args...)) }
func (l *logger) Debugf(format string, args ...any)  { l.log.Debug(fmt.Sprintf(format, args...)) }
func (l *logger) Tracef(format string, args ...any)  { l.log.Debug(fmt.Sprintf(format, args...)) }

// Fatalf implements server.Logger. It must not end the process.
func (l *logger) Fatalf(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	l.log.Error(line)
	l.fatal(line)
}

// Errorf implements server.Logger.
func (l *logger) Errorf(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if v, ok := violationOf(line); ok {
		l.violate(v)
		return
	}
	if strings.Contains(line, "authentication error") {
		l.log.Debug(line) // counted with its reason by the authenticator
		return
	}
	l.log.Error(line)
}

// violationOf reads `127.0.0.1:40022 - mid:7 - "WB-1" - Publish Violation - Subject "p.0.up.WB-2.fix"`.
func violationOf(line string) (Violation, bool) {
	var v Violation
	head, tail, found := strings.Cut(line, " - Publish Violation - ")
	v.Act = ActPublish
	if !found {
		if head, tail, found = strings.Cut(line, " - Subscription Violation"); !found {
			return Violation{}, false
		}
		v.Act = ActSubscribe
	}
	remote, rest, _ := strings.Cut(head, " - ")
	v.Remote = remote
	if _, quoted, ok := strings.Cut(rest, " - "); ok {
		if name, err := strconv.QuotedPrefix(quoted); err == nil {
			if name, err = strconv.Unquote(name); err == nil {
				v.Client = clip(name)
			}
		}
	}
	if i := strings.IndexByte(tail, '"'); i >= 0 {
		if subject, err := strconv.QuotedPrefix(tail[i:]); err == nil {
			v.Detail, _ = strconv.Unquote(subject)
		}
	}
	if len(v.Detail) > 256 {
		v.Detail = v.Detail[:256]
	}
	return v, true
}
