package broker

import (
	"crypto/hmac"
	"sync"
)

// Registry is who may speak: for every serial the keyed digests of the secrets that are good now. A serial without one
// is refused.
type Registry map[string][][]byte

// admissions is the registry and which connection speaks for whom, under one lock: so a credential that is withdrawn
// while its device connects is either refused or found and cut, never missed.
type admissions struct {
	mu       sync.Mutex
	registry Registry // nil until the first Update
	conns    map[string]admission
}

// admission is the last connection that was let in under a serial. An earlier one was put out by the server when this
// one took its session over.
type admission struct {
	conn uint64
	mac  []byte
}

// admit records the connection when the secret's digest is one of the serial's.
func (a *admissions) admit(serial string, mac []byte, conn uint64) Reason {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.registry == nil {
		return ReasonNoRegistry
	}
	macs, known := a.registry[serial]
	if !known || len(macs) == 0 {
		return ReasonUnknown
	}
	if !holds(macs, mac) {
		return ReasonSecret
	}
	a.conns[serial] = admission{conn, mac}
	return ""
}

// replace puts a whole registry in place and returns the connections that are no longer good.
func (a *admissions) replace(r Registry) (cut []uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.registry = r
	if a.registry == nil {
		a.registry = Registry{}
	}
	for serial, c := range a.conns {
		if !holds(a.registry[serial], c.mac) {
			cut = append(cut, c.conn)
			delete(a.conns, serial)
		}
	}
	return cut
}

// put replaces what is known of one serial and returns the connection that is no longer good, if there is one.
func (a *admissions) put(serial string, macs [][]byte) (cut uint64, found bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.registry == nil {
		a.registry = Registry{}
	}
	if len(macs) == 0 {
		delete(a.registry, serial)
	} else {
		a.registry[serial] = macs
	}
	c, connected := a.conns[serial]
	if !connected || holds(macs, c.mac) {
		return 0, false
	}
	delete(a.conns, serial)
	return c.conn, true
}

// several says whether more than one secret of a serial is good.
func (a *admissions) several(serial string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.registry[serial]) > 1
}

// size is how many devices may connect.
func (a *admissions) size() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.registry)
}

// holds compares with every digest, in constant time each.
func holds(macs [][]byte, mac []byte) bool {
	found := false
	for _, m := range macs {
		if hmac.Equal(m, mac) {
			found = true
		}
	}
	return found
}
