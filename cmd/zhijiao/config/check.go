package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
)

// defaultPasswords are what installers and tutorials leave behind.
var defaultPasswords = []string{"postgres", "password", "passwd", "admin", "root", "secret", "changeme", "zhijiao", "123456", "12345678", "admin123", "test"}

// minPassword is the least length of a password that machines give one another.
const minPassword = 16

// check refuses what is unsafe or cannot work, and says why.
func (c *Config) check() error {
	errs := []error{
		c.HTTP.check("http", "officers' passwords and people's places would cross the network readable"),
		c.MQTT.check("mqtt", "devices' secrets and people's places would cross the network readable"),
		c.JT808.check(),
		c.Enrol.checkWhereSet("enrol", "devices' secrets would cross the network readable"),
		c.OsmAnd.check(),
		c.SingleSignOn.check(),
		c.Database.check(),
		c.Broker.check(),
	}
	if c.DataDir == "" {
		errs = append(errs, errors.New("data_dir is empty"))
	}
	return errors.Join(errs...)
}

func (l Listener) check(name, why string) error {
	host, port, err := net.SplitHostPort(l.Listen)
	if err != nil || port == "" {
		return fmt.Errorf("%s.listen: %q is not host:port", name, l.Listen)
	}
	if (l.TLSCert == "") != (l.TLSKey == "") {
		return fmt.Errorf("%s.tls_cert and %s.tls_key need one another", name, name)
	}
	if l.TLSCert == "" && !IsLoopback(host) {
		return fmt.Errorf("%s.listen: %s is reachable from other machines and has no TLS, so %s: set %s.tls_cert and %s.tls_key, or listen on 127.0.0.1", name, l.Listen, why, name, name)
	}
	if l.TLSKey != "" {
		return private(name+".tls_key", l.TLSKey)
	}
	return nil
}

// checkWhereSet is check of a listener that need not be.
func (l Listener) checkWhereSet(name, why string) error {
	if l.Listen == "" {
		return nil
	}
	return l.check(name, why)
}

// check is that of any listener, but for one exception that has to be asked for: the wire has no encryption that terminals know.
func (j JT808) check() error {
	if j.Listen == "" {
		return nil
	}
	if !j.Plain {
		if err := j.Listener.check("jt808", "terminals' secrets and people's places would cross the network readable"); err != nil {
			return fmt.Errorf("%w; where the network between is yours alone (a private APN, a VPN), say so with jt808.plain: true", err)
		}
		return nil
	}
	if j.TLSCert != "" || j.TLSKey != "" {
		return errors.New("jt808.plain and jt808.tls_cert exclude one another")
	}
	if _, port, err := net.SplitHostPort(j.Listen); err != nil || port == "" {
		return fmt.Errorf("jt808.listen: %q is not host:port", j.Listen)
	}
	return nil
}

func (o OsmAnd) check() error {
	if o.Listen == "" {
		return nil
	}
	_, err := o.ForwardToken()
	return errors.Join(o.Listener.check("osmand", "trackers' secrets and people's places would cross the network readable"), err)
}

// IsLoopback tells whether only this machine reaches the host. An empty host is every address of the machine.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (d Database) check() error {
	if d.URL == "" {
		return nil
	}
	u, err := url.Parse(d.URL)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return errors.New("database_url is not a postgres:// address") // not repeated: it may hold a password
	}
	host := u.Hostname()
	if host == "" {
		host = u.Query().Get("host")
	}
	if host == "" || strings.HasPrefix(host, "/") {
		return nil // a socket of this machine
	}
	password, given := u.User.Password()
	if given && (slices.Contains(defaultPasswords, strings.ToLower(password)) || password == u.User.Username()) {
		return errors.New("database_url has a default password: give that role one of its own")
	}
	mode := u.Query().Get("sslmode")
	if !IsLoopback(host) && !slices.Contains([]string{"require", "verify-ca", "verify-full"}, mode) {
		return fmt.Errorf("database_url: %s is another machine and the connection may go unencrypted: add sslmode=verify-full (or require)", host)
	}
	return nil
}

func checkBrokerURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "":
		return errors.New("broker.url is not an address such as ssl://host:8883")
	case u.User != nil:
		return errors.New("broker.url holds a user or password: use broker.password_file")
	case u.Scheme == "tcp" || u.Scheme == "mqtt":
		if !IsLoopback(u.Hostname()) {
			return fmt.Errorf("broker.url: %s is another machine and tcp:// is not encrypted: use ssl://", u.Hostname())
		}
	case u.Scheme != "ssl" && u.Scheme != "mqtts" && u.Scheme != "tls":
		return fmt.Errorf("broker.url: scheme %s is none of ssl, mqtts, tcp, mqtt", u.Scheme)
	}
	return nil
}

func (b Broker) check() error {
	var errs []error
	if b.URL != "" {
		for _, one := range strings.Split(b.URL, ",") {
			if err := checkBrokerURL(strings.TrimSpace(one)); err != nil {
				errs = append(errs, err)
			}
		}
		if b.PasswordFile == "" {
			errs = append(errs, errors.New("broker.url needs broker.password_file: a broker that lets sessions in without one gives everybody's places away"))
		}
	}
	if c := b.Cluster; c.Node != "" {
		if c.Listen == "" || len(c.PeerList()) != 3 {
			errs = append(errs, errors.New("broker.cluster_node needs broker.cluster_listen and the three addresses of broker.cluster_peers"))
		}
		if b.PasswordFile == "" {
			errs = append(errs, errors.New("broker.cluster_node needs broker.password_file: the nodes show each other its password"))
		}
		if (c.Cert == "") != (c.Key == "") || (c.Cert == "") != (c.CAFile == "") {
			errs = append(errs, errors.New("broker.cluster_tls_cert, broker.cluster_tls_key and broker.cluster_ca_file go together"))
		}
	}
	if b.User == "" || strings.ContainsAny(b.User, ": \t") {
		errs = append(errs, errors.New("broker.user is empty, or holds a colon or a space, which Mosquitto's password file cannot"))
	}
	if b.PasswordFile != "" {
		_, err := b.Password()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Password reads the password of our own sessions; empty when none is configured.
func (b Broker) Password() (string, error) { return secretIn("broker.password_file", b.PasswordFile) }

// check refuses a provider that is half configured, or whose answers others could write.
func (o SingleSignOn) check() error {
	if o.Issuer == "" {
		return nil
	}
	errs := []error{}
	for key, value := range map[string]string{"oidc.issuer": o.Issuer, "oidc.redirect_url": o.Redirect} {
		u, err := url.Parse(value)
		if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && IsLoopback(u.Hostname())) {
			errs = append(errs, fmt.Errorf("%s: %q is no https address", key, value))
		}
	}
	if u, err := url.Parse(o.Redirect); err == nil && u.Path != "/api/sso/callback" {
		errs = append(errs, fmt.Errorf("oidc.redirect_url: its path is not /api/sso/callback"))
	}
	if o.ClientID == "" || o.SecretFile == "" {
		errs = append(errs, errors.New("oidc.issuer needs oidc.client_id and oidc.client_secret_file"))
	}
	if o.SecretFile != "" {
		_, err := o.Secret()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Secret reads what the provider gave us.
func (o SingleSignOn) Secret() (string, error) {
	return secretIn("oidc.client_secret_file", o.SecretFile)
}

// ForwardToken reads the token of a Traccar server; empty where none is configured.
func (o OsmAnd) ForwardToken() (string, error) {
	return secretIn("osmand.forward_token_file", o.ForwardTokenFile)
}

// secretIn reads a file with a secret that machines give one another.
func secretIn(key, path string) (string, error) {
	if path == "" {
		return "", nil
	}
	if err := private(key, path); err != nil {
		return "", err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	secret := strings.TrimSpace(string(data))
	if len(secret) < minPassword {
		return "", fmt.Errorf("%s: %d characters or more are needed (openssl rand -hex 24 makes them)", key, minPassword)
	}
	return secret, nil
}

// private refuses a file with a secret that others than its owner and its group may read, or its group may change.
func private(key, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if info.Mode().Perm()&0o027 != 0 {
		return fmt.Errorf("%s: %s is open to others (mode %04o): chmod 600", key, path, info.Mode().Perm())
	}
	return nil
}
