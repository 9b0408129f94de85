package crypto

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
)

// Algorithms of signatures, named with the hash that stands beside them in what is signed.
const (
	SHA256Ed25519 = "sha256+ed25519"
	SM3SM2        = "sm3+sm2" // with the usual user id 1234567812345678 (GB/T 35276)
)

// Signer signs. What holds the key may be a machine of its own.
type Signer interface {
	Public() Public
	Sign(message []byte) ([]byte, error)
}

// Public is the half of a signing key that verifies. It needs no keys file.
type Public struct {
	Algorithm string `json:"algorithm"`
	Key       []byte `json:"key"` // Ed25519: 32 bytes; SM2: the uncompressed point, 65 bytes
}

// String is how a public key is written down: its algorithm, a colon and hexadecimal digits.
func (p Public) String() string { return p.Algorithm + ":" + hex.EncodeToString(p.Key) }

// ParsePublic reads what String wrote. Hexadecimal digits alone are of Ed25519.
func ParsePublic(text string) (Public, error) {
	algorithm, digits, ok := strings.Cut(text, ":")
	if !ok {
		algorithm, digits = SHA256Ed25519, text
	}
	key, err := hex.DecodeString(digits)
	p := Public{algorithm, key}
	if err == nil {
		err = p.check()
	}
	if err != nil {
		return Public{}, fmt.Errorf("a public key is its algorithm (%s or %s), a colon and hexadecimal digits: %w", SHA256Ed25519, SM3SM2, err)
	}
	return p, nil
}

func (p Public) check() error {
	switch p.Algorithm {
	case SHA256Ed25519:
		if len(p.Key) != ed25519.PublicKeySize {
			return fmt.Errorf("%d bytes, not %d", len(p.Key), ed25519.PublicKeySize)
		}
		return nil
	case SM3SM2:
		_, err := sm2.NewPublicKey(p.Key)
		return err
	}
	return fmt.Errorf("there is no algorithm %q", p.Algorithm)
}

// Verify reports whether the key signed a message.
func (p Public) Verify(message, signature []byte) bool {
	switch p.Algorithm {
	case SHA256Ed25519:
		return len(p.Key) == ed25519.PublicKeySize && ed25519.Verify(p.Key, message, signature)
	case SM3SM2:
		key, err := sm2.NewPublicKey(p.Key)
		return err == nil && sm2.VerifyASN1WithSM2(key, nil, message, signature)
	}
	return false
}

// Sum is the hash function that an algorithm of signatures is named with; nil for one that is none.
func Sum(algorithm string) func([]byte) [32]byte {
	switch algorithm {
	case SHA256Ed25519:
		return sha256.Sum256
	case SM3SM2:
		return sm3.Sum
	}
	return nil
}

type ed25519Signer struct{ key ed25519.PrivateKey }

func (s ed25519Signer) Public() Public {
	public, _ := s.key.Public().(ed25519.PublicKey) // it always is
	return Public{SHA256Ed25519, public}
}

func (s ed25519Signer) Sign(message []byte) ([]byte, error) {
	return ed25519.Sign(s.key, message), nil
}

type sm2Signer struct{ key *sm2.PrivateKey }

func (s sm2Signer) Public() Public {
	point := make([]byte, 65)
	point[0] = 4 // uncompressed
	s.key.X.FillBytes(point[1:33])
	s.key.Y.FillBytes(point[33:])
	return Public{SM3SM2, point}
}

func (s sm2Signer) Sign(message []byte) ([]byte, error) {
	signature, err := sm2.SignASN1(rand.Reader, s.key, message, sm2.DefaultSM2SignerOpts)
	if err != nil {
		return nil, fmt.Errorf("sign with SM2: %w", err)
	}
	return signature, nil
}

// Signer is the key with which a purpose signs, of the suite that seals now. Another key of that suite does not change it.
func (k *Keys) Signer(p Purpose) Signer { return k.signerOf(k.firstOf(k.roots[k.newest].suite), p) }

// Publics are the keys with which what a purpose ever signed is verified: one of each suite there is a root key of.
func (k *Keys) Publics(p Purpose) []Public {
	var out []Public
	for _, s := range Suites {
		if n := k.firstOf(s); n != 0 {
			out = append(out, k.signerOf(n, p).Public())
		}
	}
	return out
}

// firstOf is the lowest number of a root key of a suite; 0: there is none.
func (k *Keys) firstOf(s Suite) uint16 {
	var first uint16
	for n, r := range k.roots {
		if r.suite == s && (first == 0 || n < first) {
			first = n
		}
	}
	return first
}

func (k *Keys) signerOf(root uint16, p Purpose) Signer {
	if k.roots[root].suite == SM {
		seed := must(k.derive(root, "sign", p, 48)) // 128 bits longer than the order: the remainder leans to nothing
		order := new(big.Int).Sub(sm2.P256().Params().N, big.NewInt(2))
		d := new(big.Int).Mod(new(big.Int).SetBytes(seed), order)
		return sm2Signer{must(sm2.NewPrivateKeyFromInt(d.Add(d, big.NewInt(1))))} // 1 … n-2
	}
	return ed25519Signer{ed25519.NewKeyFromSeed(must(k.derive(root, "sign", p, ed25519.SeedSize)))}
}

// must is for what fails only where a constant is wrong.
func must[T any](v T, err error) T {
	if err != nil {
		panic(errors.Join(errors.New("crypto: a key could not be derived"), err))
	}
	return v
}
