package mosquitto

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"zhijiao/internal/topic"
)

// User is one line of a password file.
type User struct {
	Name string
	Hash string // as crypto.MosquittoHash gives it
}

// Site is the deployment that the files are written for.
type Site struct {
	Dir           string // where the files will lie when Mosquitto reads them
	DeviceListen  string // "port address", as after `listener`
	ServiceListen string
	CertFile      string // of the device listener; empty: none, which only a loopback address may have
	KeyFile       string
	Devices       []User
	Service       User // our own sessions, all under one name: Mosquitto's file cannot hold a name with a colon
}

// The files of a site.
const (
	ConfigFile  = "mosquitto.conf"
	DevicesFile = "devices.passwd"
	DevicesACL  = "devices.acl"
	ServiceFile = "service.passwd"
	ServiceACL  = "service.acl"
)

const (
	defaultDeviceListen  = "8883"
	defaultServiceListen = "1884 127.0.0.1"

	fileMode = 0o640 // Mosquitto runs under an account of its own, which may be in the group
)

// Write puts the files into dir, each whole or not at all, and says whether one of them is another than before. Mosquitto reads
// them again when it is sent SIGHUP; it then puts out whoever is no longer in them.
func (s *Site) Write(dir string) (changed bool, err error) {
	if err := s.check(); err != nil {
		return false, err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return false, fmt.Errorf("mosquitto: %w", err)
	}
	files := map[string][]byte{
		ConfigFile: []byte(s.config()), DevicesFile: passwords(s.Devices), DevicesACL: []byte(devicesACL),
		ServiceFile: passwords([]User{s.Service}), ServiceACL: []byte(fmt.Sprintf(serviceACL, s.Service.Name, topic.ProbePrefix)),
	}
	for _, name := range []string{DevicesACL, ServiceACL, ServiceFile, DevicesFile, ConfigFile} {
		path := filepath.Join(dir, name)
		if was, err := os.ReadFile(path); err == nil && bytes.Equal(was, files[name]) {
			continue
		}
		changed = true
		if err := os.WriteFile(path+".new", files[name], fileMode); err != nil {
			return changed, fmt.Errorf("mosquitto: %w", err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			return changed, fmt.Errorf("mosquitto: %w", err)
		}
	}
	return changed, nil
}

func (s *Site) check() error {
	if s.Service.Name == "" || strings.ContainsAny(s.Service.Name, ": \n") || s.Service.Hash == "" {
		return errors.New("mosquitto: our own sessions need a name without colon or space, and a password")
	}
	for _, u := range s.Devices {
		if !topic.ValidSerial(u.Name) || strings.ContainsAny(u.Hash, ":\n") {
			return fmt.Errorf("mosquitto: %q cannot stand in a password file", u.Name)
		}
	}
	for _, path := range []string{s.Dir, s.CertFile, s.KeyFile, s.DeviceListen, s.ServiceListen} {
		if strings.ContainsAny(path, "\r\n") {
			return errors.New("mosquitto: a setting with a line break")
		}
	}
	return nil
}

// passwords is a password file, in order of names.
func passwords(users []User) []byte {
	sorted := slices.SortedFunc(slices.Values(users), func(a, b User) int { return cmp.Compare(a.Name, b.Name) })
	var b bytes.Buffer
	for _, u := range sorted {
		b.WriteString(u.Name + ":" + u.Hash + "\n")
	}
	return b.Bytes()
}

// devicesACL needs no line a device: %u is the user name, which is the client id on that listener, and serials hold no wildcard.
const devicesACL = `# A device publishes as itself and hears its own commands. Written by zhijiao: changes are lost.
pattern write up/%u/fix
pattern write up/%u/checkin
pattern write up/%u/status
pattern write owntracks/%u/+
pattern write owntracks/%u/+/+
pattern read down/%u/cmd
`

// serviceACL is for our sessions: they read what devices say, speak for terminals of other wires, and send commands.
const serviceACL = `# The platform's own sessions. Written by zhijiao: changes are lost.
user %s
topic readwrite up/+/+
topic read owntracks/+/+
topic read owntracks/+/+/+
topic readwrite down/+/cmd
topic readwrite %s#
topic read $SYS/#
`

func (s *Site) config() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	file := func(name string) string { return filepath.Join(s.Dir, name) }
	line("# Mosquitto 2 for zhijiao. Written by zhijiao broker export: changes are lost, put yours into a file of your own.")
	line("per_listener_settings true")
	line("allow_anonymous false")
	line("")
	line("# What waits for the platform while it is away is kept, however much it is: the default drops silently beyond 1000 messages.")
	line("max_queued_messages 0")
	line("max_queued_bytes 0")
	line("# As many as ingest's queue holds; 0 would flood it.")
	line("max_inflight_messages 2000")
	line("# Far above what the platform takes (16 KiB): over this limit the connection is cut, and the device sends it again for ever.")
	line("message_size_limit 262144")
	line("# Nothing of where people are stays on disk as a retained message. A device that sets the retain flag is cut.")
	line("retain_available false")
	line("")
	line("# Acknowledged messages are in memory until they are saved, at most this many seconds: a crash loses those. There is no")
	line("# setting of Mosquitto that has them on disk before the acknowledgement.")
	line("persistence true")
	line("persistence_location %s/", s.Dir)
	line("autosave_interval 1")
	line("sys_interval 10")
	line("")
	line("# Devices. The client id is the user name, whatever the device calls itself: nobody takes over another's session.")
	line("listener %s", cmp.Or(s.DeviceListen, defaultDeviceListen))
	line("use_username_as_clientid true")
	if s.CertFile != "" {
		line("certfile %s", s.CertFile)
		line("keyfile %s", s.KeyFile)
	}
	line("password_file %s", file(DevicesFile))
	line("acl_file %s", file(DevicesACL))
	line("")
	line("# The platform's own sessions, which have several client ids under one name. Keep it away from devices.")
	line("listener %s", cmp.Or(s.ServiceListen, defaultServiceListen))
	line("password_file %s", file(ServiceFile))
	line("acl_file %s", file(ServiceACL))
	return b.String()
}
