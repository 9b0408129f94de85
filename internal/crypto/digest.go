package crypto

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
)

// DigestKey makes short keyed digests: equal input gives an equal digest, and without the key nobody can try which
// coordinate a digest belongs to. It is safe for concurrent use.
type DigestKey struct{ pool sync.Pool }

type digester struct {
	mac  hash.Hash
	head [1]byte
	sum  [sha256.Size]byte
}

// NewDigestKey returns the digests of one key, with SHA-256.
func NewDigestKey(key []byte) *DigestKey { return newDigestKey(sha256.New, key) }

func newDigestKey(newHash func() hash.Hash, key []byte) *DigestKey {
	own := append([]byte(nil), key...)
	return &DigestKey{pool: sync.Pool{New: func() any { return &digester{mac: hmac.New(newHash, own)} }}}
}

// Sum64 is the first 64 bits of the HMAC (SHA-256, or SM3) of the label and the data. Labels keep equal data of different kinds apart.
func (k *DigestKey) Sum64(label byte, data []byte) uint64 {
	d := k.pool.Get().(*digester)
	defer k.pool.Put(d)
	d.mac.Reset()
	d.head[0] = label
	d.mac.Write(d.head[:])
	d.mac.Write(data)
	return binary.BigEndian.Uint64(d.mac.Sum(d.sum[:0]))
}
