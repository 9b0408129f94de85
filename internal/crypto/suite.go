package crypto

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"fmt"
	"hash"

	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/sm4"
)

// Suite is a family of algorithms. A root key belongs to one: its line in the keys file says which, so that a site changes to another by adding a
// line. What was sealed, digested or signed before stays what it is.
type Suite string

const (
	// International is AES-256-GCM, HMAC-SHA-256 and Ed25519, of the standard library.
	International Suite = "international"
	// SM is SM4-GCM, HMAC-SM3 and SM2 (GB/T 32905, 32907, 32918), of github.com/emmansun/gmsm. Software: an assessment of cryptography (密评,
	// GB/T 39786) asks for certified modules, which come in behind Provider and Signer.
	SM Suite = "sm"
)

// Suites are all of them.
var Suites = []Suite{International, SM}

// newHash is the hash function of a suite.
func (s Suite) newHash() hash.Hash {
	if s == SM {
		return sm3.New()
	}
	return sha256.New()
}

// algorithm is how envelopes of a suite are tagged.
func (s Suite) algorithm() byte {
	if s == SM {
		return sm4GCM
	}
	return aes256GCM
}

// Algorithms of envelopes, by their tag.
const (
	aes256GCM = 1 // AES-256 in Galois/Counter Mode
	sm4GCM    = 2 // SM4 in Galois/Counter Mode (RFC 8998)
)

// envelopes says for each algorithm how its key is called when it is derived, how long it is, and which cipher takes it.
var envelopes = map[byte]struct {
	use    string
	size   int
	cipher func(key []byte) (cipher.Block, error)
}{
	aes256GCM: {"aes-256-gcm", 32, aes.NewCipher},
	sm4GCM:    {"sm4-gcm", sm4.BlockSize, sm4.NewCipher},
}

// parseSuite reads the name of a suite; empty is International, which lines without one belong to.
func parseSuite(name string) (Suite, error) {
	switch s := Suite(name); s {
	case "":
		return International, nil
	case International, SM:
		return s, nil
	}
	return "", fmt.Errorf("%q is none of %v", name, Suites)
}
