package crypto

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
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
	// aes256GCM tags envelopes of AES-256 in Galois/Counter Mode. 2 is reserved for SM4-GCM.
	aes256GCM = 1
	// headSize is the algorithm and the number of the root key.
	headSize = 1 + 2
)

// Keys is the Provider of the standard library's algorithms over the root keys of a keys file. Envelopes are sealed under
// the root key with the highest number; keyed digests use the one with the lowest, because what they are compared with
// cannot be computed again.
type Keys struct {
	roots  map[uint16][]byte
	newest uint16
	oldest uint16
	digest *DigestKey
	aeads  sync.Map // aeadKey → cipher.AEAD
	macs   sync.Map // Purpose → []byte
}

type aeadKey struct {
	root    uint16
	purpose Purpose
}

var _ Provider = (*Keys)(nil)

// Random returns keys that are in no file: what they seal is lost with the process.
func Random() *Keys {
	k, err := newKeys(map[uint16][]byte{1: randomRoot()})
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

func newKeys(roots map[uint16][]byte) (*Keys, error) {
	if len(roots) == 0 {
		return nil, errors.New("there is no key in it")
	}
	k := &Keys{roots: roots, oldest: ^uint16(0)}
	for n, root := range roots {
		if len(root) != rootSize {
			return nil, fmt.Errorf("key %d has %d bytes, not %d", n, len(root), rootSize)
		}
		k.newest, k.oldest = max(k.newest, n), min(k.oldest, n)
	}
	key, err := k.derive(k.oldest, "mac", ObservationDigest)
	if err != nil {
		return nil, err
	}
	k.digest = NewDigestKey(key)
	return k, nil
}

// derive is the key of one use and purpose under a root key.
func (k *Keys) derive(root uint16, use string, p Purpose) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, k.roots[root], nil, "zhijiao/1/"+use+"/"+string(p), sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive the key of %s: %w", p, err)
	}
	return key, nil
}

func (k *Keys) aead(root uint16, p Purpose) (cipher.AEAD, error) {
	if a, ok := k.aeads.Load(aeadKey{root, p}); ok {
		return a.(cipher.AEAD), nil
	}
	key, err := k.derive(root, "aes-256-gcm", p)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("cipher of %s: %w", p, err)
	}
	a, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("cipher of %s: %w", p, err)
	}
	k.aeads.Store(aeadKey{root, p}, a)
	return a, nil
}

// Seal implements Provider.
func (k *Keys) Seal(p Purpose, context string, plaintext []byte) ([]byte, error) {
	a, err := k.aead(k.newest, p)
	if err != nil {
		return nil, err
	}
	out := make([]byte, headSize, headSize+len(plaintext)+a.Overhead())
	out[0] = aes256GCM
	binary.BigEndian.PutUint16(out[1:], k.newest)
	return a.Seal(out, nil, plaintext, additional(out[:headSize], context)), nil
}

// Open implements Provider.
func (k *Keys) Open(p Purpose, context string, envelope []byte) ([]byte, error) {
	if len(envelope) < headSize || envelope[0] != aes256GCM {
		return nil, ErrEnvelope
	}
	root := binary.BigEndian.Uint16(envelope[1:])
	if _, ok := k.roots[root]; !ok {
		return nil, ErrEnvelope
	}
	a, err := k.aead(root, p)
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

// Signer is the key with which a purpose signs. It does not change when a key is added. Whoever has its public half can verify, and not sign.
func (k *Keys) Signer(p Purpose) ed25519.PrivateKey {
	seed, err := k.derive(k.oldest, "sign", p)
	if err != nil {
		panic(err) // only a length over 255 hashes is refused, and this is one
	}
	return ed25519.NewKeyFromSeed(seed)
}

// MAC implements Provider.
func (k *Keys) MAC(p Purpose, data []byte) []byte {
	key, ok := k.macs.Load(p)
	if !ok {
		derived, err := k.derive(k.oldest, "mac", p)
		if err != nil {
			panic(err) // only a length over 255 hashes is refused, and this is one
		}
		key, _ = k.macs.LoadOrStore(p, derived)
	}
	m := hmac.New(sha256.New, key.([]byte))
	m.Write(data)
	return m.Sum(nil)
}

// Digest implements Provider.
func (k *Keys) Digest() *DigestKey { return k.digest }
