package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zhijiao/cmd/zhijiao/config"
)

func file(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreSafe(t *testing.T) {
	t.Parallel()
	c, err := config.Load(config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Broker.Sync != "always" || c.HTTP.Listen != "127.0.0.1:8420" || c.Keys() != "data/keys" {
		t.Errorf("%+v", c)
	}
}

// A listener without TLS beyond this machine has to be asked for.
func TestPlainTerminals(t *testing.T) {
	t.Parallel()
	c, err := config.Load(config.Source{Flags: map[string]string{"jt808.listen": "0.0.0.0:8808", "jt808.plain": "true", "jt808.makers_items": "W-100, W-200"}})
	if err != nil {
		t.Fatal(err)
	}
	if !c.JT808.Makers("W-100") || !c.JT808.Makers("W-200") || c.JT808.Makers("W-300") || c.JT808.Makers("") {
		t.Error("models")
	}
}

func TestLaterSourceWins(t *testing.T) {
	t.Parallel()
	path := file(t, "z.yaml", "http:\n  listen: 127.0.0.1:1\nmqtt.listen: 127.0.0.1:2\nlog: {level: debug}\nbroker: {partitions: 3}\n", 0o644)
	c, err := config.Load(config.Source{
		File:    path,
		Environ: []string{"PATH=/bin", "ZHIJIAO_MQTT_LISTEN=127.0.0.1:3", "ZHIJIAO_BROKER_PARTITIONS=4", "ZHIJIAO_TEST_DATABASE_URL=x"},
		Flags:   map[string]string{"broker.partitions": "5"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTP.Listen != "127.0.0.1:1" || c.MQTT.Listen != "127.0.0.1:3" || c.Broker.Partitions != 5 || c.Log.Level.String() != "DEBUG" {
		t.Errorf("%+v", c)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	weak := file(t, "weak", "short\n", 0o600)
	open := file(t, "open", strings.Repeat("x", 32), 0o644)
	good := file(t, "good", strings.Repeat("x", 32), 0o600)
	for name, c := range map[string]struct {
		yaml, want string
		env        []string
		flags      map[string]string
	}{
		"unknown key":           {yaml: "htp: 1", want: "unknown key htp"},
		"meant another":         {yaml: "listen: x", want: "is it enrol.listen or http.listen or jt808.listen or mqtt.listen or osmand.listen?"},
		"unknown nested":        {yaml: "http: {listen: 127.0.0.1:1, color: red}", want: "unknown key http.color"},
		"place of the fault":    {yaml: "log:\n  level: info\n  colour: red", want: ":3: unknown key log.colour"},
		"twice":                 {yaml: "http: {listen: 127.0.0.1:1}\nhttp.listen: 127.0.0.1:2", want: "given twice"},
		"list":                  {yaml: "http.listen: [a, b]", want: "takes one value"},
		"not a mapping":         {yaml: "- a", want: "a mapping of keys"},
		"not YAML":              {yaml: "a: [", want: "yaml"},
		"unknown environment":   {env: []string{"ZHIJIAO_HTTP_LISTN=x"}, want: "unknown variable ZHIJIAO_HTTP_LISTN"},
		"number":                {flags: map[string]string{"broker.partitions": "many"}, want: "--broker-partitions"},
		"range":                 {flags: map[string]string{"broker.partitions": "0"}, want: "from 1 to 256"},
		"sync":                  {yaml: "broker.sync: never", want: "always, interval"},
		"console without TLS":   {yaml: "http.listen: 0.0.0.0:80", want: "has no TLS, so officers' passwords"},
		"every address":         {yaml: "http.listen: ':80'", want: "has no TLS"},
		"devices without TLS":   {yaml: "mqtt.listen: '[::]:1883'", want: "has no TLS, so devices' secrets"},
		"terminals without TLS": {yaml: "jt808.listen: '[::]:8808'", want: "say so with jt808.plain"},
		"trackers without TLS":  {yaml: "osmand.listen: '[::]:5055'", want: "has no TLS, so trackers' secrets"},
		"open token":            {yaml: "osmand: {listen: 127.0.0.1:0, forward_token_file: " + open + "}", want: "chmod 600"},
		"weak token":            {yaml: "osmand: {listen: 127.0.0.1:0, forward_token_file: " + weak + "}", want: "16 characters"},
		"plain and TLS":         {yaml: "jt808: {listen: '[::]:8808', plain: true, tls_cert: x, tls_key: x}", want: "exclude one another"},
		"plain at no port":      {yaml: "jt808: {listen: here, plain: true}", want: "not host:port"},
		"half of TLS":           {yaml: "http.tls_cert: x", want: "need one another"},
		"open key":              {yaml: "http.tls_cert: x\nhttp.tls_key: " + open, want: "chmod 600"},
		"no port":               {yaml: "http.listen: localhost", want: "not host:port"},
		"default password":      {yaml: "database_url: postgres://u:postgres@localhost/x", want: "default password"},
		"password is the name":  {yaml: "database_url: postgres://u:u@localhost/x", want: "default password"},
		"database in the clear": {yaml: "database_url: postgres://u:k3gh5kg3@db.example/x", want: "sslmode=verify-full"},
		"not a database":        {yaml: "database_url: mysql://x", want: "not a postgres:// address"},
		"broker in the clear":   {yaml: "broker: {url: tcp://b.example:1883, password_file: " + good + "}", want: "use ssl://"},
		"broker without secret": {yaml: "broker.url: ssl://b.example:8883", want: "needs broker.password_file"},
		"secret in the address": {yaml: "broker: {url: ssl://a:b@b.example:8883, password_file: " + good + "}", want: "use broker.password_file"},
		"weak broker secret":    {yaml: "broker: {url: ssl://b.example:8883, password_file: " + weak + "}", want: "16 characters"},
		"open broker secret":    {yaml: "broker: {url: ssl://b.example:8883, password_file: " + open + "}", want: "chmod 600"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := config.Source{Environ: c.env, Flags: c.flags}
			if c.yaml != "" {
				src.File = file(t, "z.yaml", c.yaml, 0o644)
			}
			if _, err := config.Load(src); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestEveryFaultIsTold(t *testing.T) {
	t.Parallel()
	_, err := config.Load(config.Source{Flags: map[string]string{"broker.sync": "never", "log.level": "loud"}})
	if err == nil || !strings.Contains(err.Error(), "broker.sync") || !strings.Contains(err.Error(), "log.level") {
		t.Error(err)
	}
}

func TestPasswordOfTheDatabaseIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"postgres://u:k3gh5kg3@db.example/x", "http://u:k3gh5kg3@x", "postgres://u:k3gh5kg3@%zz"} {
		if _, err := config.Load(config.Source{Flags: map[string]string{"database_url": u}}); err == nil || strings.Contains(err.Error(), "k3gh5kg3") {
			t.Error(err)
		}
	}
}
