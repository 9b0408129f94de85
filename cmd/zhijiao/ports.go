package main

import (
	"errors"
	"log/slog"
	"net"
	"syscall"

	"zhijiao/cmd/zhijiao/config"
)

// otherPorts moves a listener that was left at its default to a free port when that one is taken: `up` on a machine where
// something else listens (another broker, a second demo) still comes up, and says where.
func otherPorts(cfg *config.Config, log *slog.Logger) {
	defaults := map[string]string{}
	for _, k := range config.Keys() {
		defaults[k.Name] = k.Default
	}
	for name, listen := range map[string]*string{"http.listen": &cfg.HTTP.Listen, "mqtt.listen": &cfg.MQTT.Listen} {
		if *listen != defaults[name] || !taken(*listen) {
			continue
		}
		host, _, err := net.SplitHostPort(*listen)
		if err != nil {
			continue // whoever listens will say so
		}
		log.Warn("the default port is taken: a free one is used instead", "key", name, "taken", *listen)
		*listen = net.JoinHostPort(host, "0")
	}
}

func taken(address string) bool {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return errors.Is(err, syscall.EADDRINUSE)
	}
	l.Close()
	return false
}
