package config

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
)

// Config is every setting with its type.
type Config struct {
	DataDir      string
	KeysFile     string
	Suite        string // of a keys file that is made
	EvidenceFont string
	UKeyCA       string // of client certificates at the console
	SingleSignOn SingleSignOn
	Audit        Audit
	Database     Database
	HTTP         Listener
	MQTT         Listener
	JT808        JT808
	OsmAnd       OsmAnd
	Enrol        Listener // empty Listen: none
	ClientCA     string   // of devices that speak MQTT
	Broker       Broker
	History      History
	Ingest       Ingest
	Log          Log

	SourcesLimit int // minutes
}

// Database says which PostgreSQL and how much of it.
type Database struct {
	URL     string // empty: up runs a private one
	Account string
	Pool    int
}

// SingleSignOn is the site's identity provider (OpenID Connect).
type SingleSignOn struct {
	Issuer     string // empty: none
	ClientID   string
	SecretFile string
	Redirect   string
	Name       string
}

// Listener is an address and what protects it.
type Listener struct {
	Listen  string
	TLSCert string
	TLSKey  string
}

// JT808 is the listener for terminals that speak JT/T 808.
type JT808 struct {
	Listener
	Plain       bool   // beyond this machine, without TLS
	MakersOf    string // models, with commas between
	Connections int    // at most
}

// OsmAnd is the listener for trackers that speak over HTTP.
type OsmAnd struct {
	Listener
	ForwardTokenFile string
}

// Makers says whether the makers' own items of a model are read.
func (j JT808) Makers(model string) bool {
	for _, m := range strings.Split(j.MakersOf, ",") {
		if strings.TrimSpace(m) == model && model != "" {
			return true
		}
	}
	return false
}

// Broker says which broker, and how the embedded one keeps its promise.
type Broker struct {
	URL          string // empty: the embedded one
	CAFile       string
	PasswordFile string
	User         string // of our own sessions at a broker that cannot map
	Sync         string
	Partitions   int
	Mapped       bool
	Cluster      Cluster
}

// Cluster is the place of `zhijiao broker` among three.
type Cluster struct {
	Node   string // empty: it is alone
	Listen string
	Peers  string // with commas between
	Cert   string
	Key    string
	CAFile string
}

// PeerList are the addresses of the nodes.
func (c Cluster) PeerList() (out []string) {
	for _, p := range strings.Split(c.Peers, ",") {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

// History says how long fixes are rows, and how long they are kept.
type History struct {
	PackAfterDays int
	KeepMonths    int
}

// Ingest says how much a device may send.
type Ingest struct {
	Rate, Burst, Backlog int // messages: a second, at once, at once of what it kept
}

// Audit says where the audit is copied to.
type Audit struct {
	AnchorFile string
}

// AuditAnchor returns the path of the file with the seals: its own setting, or beside the data.
func (c *Config) AuditAnchor() string {
	if c.Audit.AnchorFile != "" {
		return c.Audit.AnchorFile
	}
	return filepath.Join(c.DataDir, "audit-anchor")
}

// Log says how much is logged and in which form.
type Log struct {
	Level  slog.Level
	Format string
}

// Keys returns the path of the file with the keys: its own setting, or beside the data.
func (c *Config) Keys() string {
	if c.KeysFile != "" {
		return c.KeysFile
	}
	return filepath.Join(c.DataDir, "keys")
}

// Key is one setting: http.listen in the file (nested or dotted), ZHIJIAO_HTTP_LISTEN in the environment, --http-listen as
// a flag.
type Key struct {
	Name    string
	Default string
	Doc     string
	set     func(*Config, string) error
}

// Env is the key's environment variable.
func (k Key) Env() string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(k.Name, ".", "_"))
}

// Flag is the key's flag, without the dashes before it.
func (k Key) Flag() string {
	return strings.ReplaceAll(strings.ReplaceAll(k.Name, ".", "-"), "_", "-")
}

// Keys lists every setting there is; docs/operations.md describes the same ones.
func Keys() []Key {
	return []Key{
		{"data_dir", "data", "Folder of everything this program keeps: the private PostgreSQL, the embedded broker's store, the keys.", text(func(c *Config) *string { return &c.DataDir })},
		{"keys_file", "", "File with the keys that protect personal data, credentials and quarantined payloads, mode 0600; made when missing. Empty: `keys` in data_dir. Keep a copy elsewhere: without it they cannot be read.", text(func(c *Config) *string { return &c.KeysFile })},
		{"crypto.suite", "international", "Algorithms of a keys file that is made: international (AES-256-GCM, HMAC-SHA-256, Ed25519) or sm (SM4-GCM, HMAC-SM3, SM2). A file that is there says itself; `zhijiao keys add` changes it.", oneOf(func(c *Config) *string { return &c.Suite }, "international", "sm")},
		{"http.client_ca_file", "", "Certificate authority of client certificates (UKey) that people may log in with beside their password (PEM). Needs http.tls_cert. Empty: none are asked for.", text(func(c *Config) *string { return &c.UKeyCA })},
		{"oidc.issuer", "", "Issuer of the site's single sign-on (OpenID Connect; https). Empty: none. Accounts are joined with `zhijiao officer single-sign-on`.", text(func(c *Config) *string { return &c.SingleSignOn.Issuer })},
		{"oidc.client_id", "", "What the console is called there.", text(func(c *Config) *string { return &c.SingleSignOn.ClientID })},
		{"oidc.client_secret_file", "", "File with the secret it was given there, not readable by others.", text(func(c *Config) *string { return &c.SingleSignOn.SecretFile })},
		{"oidc.redirect_url", "", "Address of /api/sso/callback as browsers reach it, such as https://zhijiao.example.gov.cn/api/sso/callback.", text(func(c *Config) *string { return &c.SingleSignOn.Redirect })},
		{"oidc.name", "统一身份认证", "What the button says.", text(func(c *Config) *string { return &c.SingleSignOn.Name })},
		{"evidence.font", "", "TrueType font with Chinese for reports of evidence. Empty: one of fonts-droid-fallback.", text(func(c *Config) *string { return &c.EvidenceFont })},
		{"audit.anchor_file", "", "File to which every seal of the audit is also written, best on another machine's disk: what the database says is compared with it. Empty: `audit-anchor` in data_dir.", text(func(c *Config) *string { return &c.Audit.AnchorFile })},
		{"database_url", "", "Address of PostgreSQL 14 or newer with PostGIS (postgres://…). Empty: `up` runs a private one in data_dir.", text(func(c *Config) *string { return &c.Database.URL })},
		{"database.account", "", "Account of the machine that runs the private PostgreSQL when the program is started by root. Empty: postgres, else nobody.", text(func(c *Config) *string { return &c.Database.Account })},
		{"database.pool", "16", "Connections to the database, at most.", number(func(c *Config) *int { return &c.Database.Pool }, 4, 1000)},
		{"http.listen", "127.0.0.1:8420", "Address of the console, /healthz and /metrics. Port 0 takes a free one.", text(func(c *Config) *string { return &c.HTTP.Listen })},
		{"http.tls_cert", "", "Certificate chain of the console (PEM). Needed on any address but a loopback one.", text(func(c *Config) *string { return &c.HTTP.TLSCert })},
		{"http.tls_key", "", "Private key to http.tls_cert (PEM, not readable by others).", text(func(c *Config) *string { return &c.HTTP.TLSKey })},
		{"mqtt.listen", "127.0.0.1:1883", "Address of the embedded broker's MQTT listener. Port 0 takes a free one.", text(func(c *Config) *string { return &c.MQTT.Listen })},
		{"mqtt.tls_cert", "", "Certificate chain of the MQTT listener (PEM). Needed on any address but a loopback one.", text(func(c *Config) *string { return &c.MQTT.TLSCert })},
		{"mqtt.tls_key", "", "Private key to mqtt.tls_cert (PEM, not readable by others).", text(func(c *Config) *string { return &c.MQTT.TLSKey })},
		{"mqtt.client_ca_file", "", "Certificate authority of the devices (PEM): each shows a certificate with its serial as common name, beside its secret. Empty: the secret alone.", text(func(c *Config) *string { return &c.ClientCA })},
		{"jt808.listen", "", "Address of the listener for terminals that speak JT/T 808 over TCP. Empty: none. Port 0 takes a free one.", text(func(c *Config) *string { return &c.JT808.Listen })},
		{"jt808.tls_cert", "", "Certificate chain of that listener (PEM), for terminals that can. On any address but a loopback one it or jt808.plain is needed.", text(func(c *Config) *string { return &c.JT808.TLSCert })},
		{"jt808.tls_key", "", "Private key to jt808.tls_cert (PEM, not readable by others).", text(func(c *Config) *string { return &c.JT808.TLSKey })},
		{"jt808.plain", "false", "true: listen beyond this machine without TLS, which nearly no terminal has. Secrets and places are readable on the way: only where the way is yours (a private APN, a VPN).", boolean(func(c *Config) *bool { return &c.JT808.Plain })},
		{"jt808.makers_items", "", "Models, with commas between, whose makers' own items beyond the standard are read: battery, strap, card number.", text(func(c *Config) *string { return &c.JT808.MakersOf })},
		{"jt808.connections", "20000", "Connections of terminals, at most; half of them before they have authenticated.", number(func(c *Config) *int { return &c.JT808.Connections }, 2, 500000)},
		{"enrol.listen", "", "Address at which devices exchange an enrolment code for their secret over HTTPS. Empty: none. Port 0 takes a free one.", text(func(c *Config) *string { return &c.Enrol.Listen })},
		{"enrol.tls_cert", "", "Certificate chain of that listener (PEM). Needed on any address but a loopback one.", text(func(c *Config) *string { return &c.Enrol.TLSCert })},
		{"enrol.tls_key", "", "Private key to enrol.tls_cert (PEM, not readable by others).", text(func(c *Config) *string { return &c.Enrol.TLSKey })},
		{"osmand.listen", "", "Address of the listener for trackers over HTTP: OsmAnd, Traccar Client, and positions that a Traccar server forwards. Empty: none. Port 0 takes a free one.", text(func(c *Config) *string { return &c.OsmAnd.Listen })},
		{"osmand.tls_cert", "", "Certificate chain of that listener (PEM). Needed on any address but a loopback one.", text(func(c *Config) *string { return &c.OsmAnd.TLSCert })},
		{"osmand.tls_key", "", "Private key to osmand.tls_cert (PEM, not readable by others).", text(func(c *Config) *string { return &c.OsmAnd.TLSKey })},
		{"osmand.forward_token_file", "", "File with the token by which a Traccar server may forward for devices of the registry called traccar-…, not readable by others. Empty: none may.", text(func(c *Config) *string { return &c.OsmAnd.ForwardTokenFile })},
		{"broker.url", "", "Address of a broker that runs elsewhere: ssl://host:8883, or tcp:// on this machine; of a cluster all three, with commas between. Empty: `up` embeds one; `serve` needs it.", text(func(c *Config) *string { return &c.Broker.URL })},
		{"broker.ca_file", "", "Certificate authority that signed the certificate of broker.url (PEM). Empty: those the machine trusts.", text(func(c *Config) *string { return &c.Broker.CAFile })},
		{"broker.password_file", "", "File with the password of our own sessions, not readable by others. `broker` and a `serve` that uses it share it; 16 characters or more.", text(func(c *Config) *string { return &c.Broker.PasswordFile })},
		{"broker.user", "zhijiao", "User name of our own sessions at a broker that cannot map (broker.mapped: false). At ours each one's is its client id.", text(func(c *Config) *string { return &c.Broker.User })},
		{"broker.sync", "always", "When the embedded broker's store reaches the disk: always (before each acknowledgement) or interval (within a second: faster, survives a crash of the program, not of the machine).", oneOf(func(c *Config) *string { return &c.Broker.Sync }, "always", "interval")},
		{"broker.partitions", "2", "Ordered streams that ingest reads side by side; a device is always in the same one. It may grow, never shrink: what waits in the others would not be read.", number(func(c *Config) *int { return &c.Broker.Partitions }, 1, 256)},
		{"broker.mapped", "true", "Whether broker.url maps what devices publish to partitions as the embedded broker does. false (Mosquitto): one session reads everything.", boolean(func(c *Config) *bool { return &c.Broker.Mapped })},
		{"broker.cluster_node", "", "Name of this broker among the three of a cluster. Empty: it is alone.", text(func(c *Config) *string { return &c.Broker.Cluster.Node })},
		{"broker.cluster_listen", "", "Address for the other two nodes, host:port.", text(func(c *Config) *string { return &c.Broker.Cluster.Listen })},
		{"broker.cluster_peers", "", "Addresses of all three nodes, with commas between.", text(func(c *Config) *string { return &c.Broker.Cluster.Peers })},
		{"broker.cluster_tls_cert", "", "Certificate chain of this node for the others (PEM), for both directions. Needed on any address but a loopback one.", text(func(c *Config) *string { return &c.Broker.Cluster.Cert })},
		{"broker.cluster_tls_key", "", "Private key to broker.cluster_tls_cert (PEM, not readable by others).", text(func(c *Config) *string { return &c.Broker.Cluster.Key })},
		{"broker.cluster_ca_file", "", "Certificate authority that signed the nodes' certificates (PEM).", text(func(c *Config) *string { return &c.Broker.Cluster.CAFile })},
		{"sources.limit_minutes", "15", "Data of a source (a wire and a class of device) that is older counts as out of step (数据不同步); three of the shortest interval that its devices are expected to report at, where that is longer.", number(func(c *Config) *int { return &c.SourcesLimit }, 1, 1440)},
		{"history.pack_after_days", "2", "Days after the end of a day when its fixes are packed: a twentieth of the space, and slower for GIS tools to get at. What comes later still is packed with them.", number(func(c *Config) *int { return &c.History.PackAfterDays }, 1, 3650)},
		{"history.keep_months", "24", "Whole months after which fixes are removed, except the tracks around violations. No statute gives a number; the policy of the authority does (6 to 24 are usual). 0: never.", number(func(c *Config) *int { return &c.History.KeepMonths }, 0, 1200)},
		{"ingest.rate", "5", "Messages a second that one device may send on the long run; more are refused as rate_limited. 0: no limit.", number(func(c *Config) *int { return &c.Ingest.Rate }, 0, 100000)},
		{"ingest.burst", "60", "Messages that one device may send at once beyond ingest.rate.", number(func(c *Config) *int { return &c.Ingest.Burst }, 1, 100000)},
		{"ingest.backlog", "50000", "The same of messages whose newest observation is older than two minutes: what a device kept while it could not send.", number(func(c *Config) *int { return &c.Ingest.Backlog }, 1, 10000000)},
		{"log.level", "info", "debug, info, warn or error. Coordinates, names and payloads are logged at none.", level},
		{"log.format", "text", "text or json, one record a line on standard error.", oneOf(func(c *Config) *string { return &c.Log.Format }, "text", "json")},
	}
}

func text(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, v string) error {
		*field(c) = strings.TrimSpace(v)
		return nil
	}
}

func oneOf(field func(*Config) *string, allowed ...string) func(*Config, string) error {
	return func(c *Config, v string) error {
		for _, a := range allowed {
			if v == a {
				*field(c) = v
				return nil
			}
		}
		return fmt.Errorf("%q is none of %s", v, strings.Join(allowed, ", "))
	}
}

func number(field func(*Config) *int, least, most int) func(*Config, string) error {
	return func(c *Config, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			return fmt.Errorf("%q is not a number from %d to %d", v, least, most)
		}
		*field(c) = n
		return nil
	}
}

func boolean(field func(*Config) *bool) func(*Config, string) error {
	return func(c *Config, v string) error {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", v)
		}
		*field(c) = b
		return nil
	}
}

func level(c *Config, v string) error {
	if err := c.Log.Level.UnmarshalText([]byte(v)); err != nil {
		return fmt.Errorf("%q is none of debug, info, warn, error", v)
	}
	return nil
}
