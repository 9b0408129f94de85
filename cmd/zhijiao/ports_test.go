package main

import (
	"bytes"
	"log/slog"
	"net"
	"strings"
	"testing"

	"zhijiao/cmd/zhijiao/config"
)

// TestTakenDefaultPort is not parallel: it needs a default port, which a program on this machine may hold as well.
func TestTakenDefaultPort(t *testing.T) {
	var said bytes.Buffer
	cfg, err := config.Load(config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	if l, err := net.Listen("tcp", cfg.MQTT.Listen); err == nil {
		defer l.Close()
	}
	own, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	cfg.HTTP.Listen = own.Addr().String() // taken as well, but somebody chose it
	otherPorts(cfg, slog.New(slog.NewTextHandler(&said, nil)))
	if cfg.MQTT.Listen != "127.0.0.1:0" || !strings.Contains(said.String(), "mqtt.listen") {
		t.Errorf("%s: %s", cfg.MQTT.Listen, said.String())
	}
	if cfg.HTTP.Listen != own.Addr().String() {
		t.Errorf("a chosen port was changed: %s", cfg.HTTP.Listen)
	}
}
