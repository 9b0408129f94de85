package crypto

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// ErrEnvelope means that an envelope does not open: damaged, sealed for another purpose or place, or under a key that is
// not in the keys file. It does not say which.
var ErrEnvelope = errors.New("the envelope does not open with these keys")

const (
	rootSize = 32
	// headSize is the algorithm and the number of the root key.
	headSize = 1 + 2
)

// root is a root key, and the suite that is worked with under it.
type root struct {
	key   []byte
	suite Suite
}

// Keys is the Provider over the root keys of a keys file. Envelopes are sealed under
// the root key with the highest number; keyed digests use the one with the lowest, because what they are compared with
// cannot be computed again.
type Keys struct {
	roots  map[uint16]root
	newest uint16
	oldest uint16
	digest *DigestKey
	aeads  sync.Map // aeadKey → cipher.AEAD
	macs   sync.Map // Purpose → []byte
}

type aeadKey struct {
	root      uint16
	algorithm byte
	purpose   Purpose
}

var _ Provider = (*Keys)(nil)

// Random returns keys that are in no file: what they seal is lost with the process.
func Random() *Keys {
	k, err := newKeys(map[uint16]root{1: {randomRoot(), International}})
	if err != nil {
		panic(err) // the one root has the right size
	}
	return k
}

func randomRoot() []byte {
	root := make([]byte, rootSize)
	rand.Read(root) // never fails: the runtime ends the program instead
	return root
}

func newKeys(roots map[uint16]root) (*Keys, error) {
	if len(roots) == 0 {
		return nil, errors.New("there is no key in it")
	}
	k := &Keys{roots: roots, oldest: ^uint16(0)}
	for n, r := range roots {
		if len(r.key) != rootSize {
			return nil, fmt.Errorf("key %d has %d bytes, not %d", n, len(r.key), rootSize)
		}
		k.newest, k.oldest = max(k.newest, n), min(k.oldest, n)
	}
	key, err := k.derive(k.oldest, "mac", ObservationDigest, macKeySize)
	if err != nil {
		return nil, err
	}
	k.digest = newDigestKey(k.roots[k.oldest].suite.newHash, key)
	return k, nil
}

// macKeySize is that of SHA-256 and of SM3.
const macKeySize = 32

// derive is the key of one use and purpose under a root key.
func (k *Keys) derive(n uint16, use string, p Purpose, size int) ([]byte, error) {
	r := k.roots[n]
	key, err := hkdf.Key(r.suite.newHash, r.key, nil, "zhijiao/1/"+use+"/"+string(p), size)
	if err != nil {
		return nil, fmt.Errorf("derive the key of %s: %w", p, err)
	}
	return key, nil
}

func (k *Keys) aead(n uint16, algorithm byte, p Purpose) (cipher.AEAD, error) {
	if a, ok := k.aeads.Load(aeadKey{n, algorithm, p}); ok {
		return a.(cipher.AEAD), nil
	}
	e := envelopes[algorithm]
	key, err := k.derive(n, e.use, p, e.size)
	if err != nil {
		return nil, err
	}
	block, err := e.cipher(key)
	if err != nil {
		return nil, fmt.Errorf("cipher of %s: %w", p, err)
	}
	a, err := newGCM(block)
	if err != nil {
		return nil, fmt.Errorf("cipher of %s: %w", p, err)
	}
	k.aeads.Store(aeadKey{n, algorithm, p}, a)
	return a, nil
}

// Seal implements Provider.
func (k *Keys) Seal(p Purpose, context string, plaintext []byte) ([]byte, error) {
	algorithm := k.roots[k.newest].suite.algorithm()
	a, err := k.aead(k.newest, algorithm, p)
	if err != nil {
		return nil, err
	}
	out := make([]byte, headSize, headSize+len(plaintext)+a.Overhead())
	out[0] = algorithm
	binary.BigEndian.PutUint16(out[1:], k.newest)
	return a.Seal(out, nil, plaintext, additional(out[:headSize], context)), nil
}

// Open implements Provider.
func (k *Keys) Open(p Purpose, context string, envelope []byte) ([]byte, error) {
	if len(envelope) < headSize {
		return nil, ErrEnvelope
	}
	n := binary.BigEndian.Uint16(envelope[1:])
	if r, ok := k.roots[n]; !ok || r.suite.algorithm() != envelope[0] {
		return nil, ErrEnvelope
	}
	a, err := k.aead(n, envelope[0], p)
	if err != nil {
		return nil, err
	}
	plaintext, err := a.Open(nil, nil, envelope[headSize:], additional(envelope[:headSize], context))
	if err != nil {
		return nil, ErrEnvelope
	}
	return plaintext, nil
}

// additional binds an envelope's head and place to it.
func additional(head []byte, context string) []byte {
	return append(slices.Clone(head), context...)
}

// MAC implements Provider.
func (k *Keys) MAC(p Purpose, data []byte) []byte {
	key, ok := k.macs.Load(p)
	if !ok {
		derived, err := k.derive(k.oldest, "mac", p, macKeySize)
		if err != nil {
			panic(err) // only a length over 255 hashes is refused, and this is one
		}
		key, _ = k.macs.LoadOrStore(p, derived)
	}
	m := hmac.New(k.roots[k.oldest].suite.newHash, key.([]byte))
	m.Write(data)
	return m.Sum(nil)
}

// Digest implements Provider.
func (k *Keys) Digest() *DigestKey { return k.digest }

// randomNonce is a GCM that puts a random nonce before what it seals: the standard library's own is for AES alone.
type randomNonce struct{ cipher.AEAD }

const nonceSize = 12

func newGCM(block cipher.Block) (cipher.AEAD, error) {
	if a, err := cipher.NewGCMWithRandomNonce(block); err == nil {
		return a, nil
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return randomNonce{a}, nil
}

func (randomNonce) NonceSize() int  { return 0 }
func (r randomNonce) Overhead() int { return nonceSize + r.AEAD.Overhead() }
func (r randomNonce) Seal(dst, _, plaintext, additional []byte) []byte {
	var nonce [nonceSize]byte
	rand.Read(nonce[:]) // never fails
	return r.AEAD.Seal(append(dst, nonce[:]...), nonce[:], plaintext, additional)
}

func (r randomNonce) Open(dst, _, sealed, additional []byte) ([]byte, error) {
	if len(sealed) < nonceSize {
		return nil, ErrEnvelope
	}
	return r.AEAD.Open(dst, sealed[:nonceSize], sealed[nonceSize:], additional)
}
