package devices

import (
	"crypto/hmac"
	"sync"
)

// Terminal is what a gateway knows of a device that it may speak for.
type Terminal struct {
	MACs  [][]byte // keyed digests of the secrets that are good now; none: it may not speak
	Model string   // as enrolled
	Datum Datum    // in which its model gives places, where its wire does not say; 0: not recorded
}

// Knows says whether mac is the digest of one of its secrets. It compares with all of them, in constant time each.
func (t Terminal) Knows(mac []byte) bool {
	found := false
	for _, m := range t.MACs {
		if hmac.Equal(m, mac) {
			found = true
		}
	}
	return found
}

// Terminals is the registry as gateways ask it: in memory, so that it answers while the database is away, and kept fresh by
// whoever follows the ledger. It is safe for concurrent use.
type Terminals struct {
	mu  sync.RWMutex
	all map[Serial]Terminal // nil until the first Replace
}

// Replace puts a whole registry in place. It is the snapshot's from then on.
func (t *Terminals) Replace(all map[Serial]Terminal) {
	if all == nil {
		all = map[Serial]Terminal{}
	}
	t.mu.Lock()
	t.all = all
	t.mu.Unlock()
}

// Put replaces what is known of some. One without a secret may no longer speak.
func (t *Terminals) Put(some map[Serial]Terminal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		return // the first Replace will bring it
	}
	for serial, x := range some {
		if len(x.MACs) == 0 {
			delete(t.all, serial)
		} else {
			t.all[serial] = x
		}
	}
}

// Loaded says whether there has been a registry: before, nobody is unknown.
func (t *Terminals) Loaded() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.all != nil
}

// Find returns the terminal, and whether there is one that may speak.
func (t *Terminals) Find(serial Serial) (Terminal, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	x, known := t.all[serial]
	return x, known
}
