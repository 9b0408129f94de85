package audit

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Algorithm names the hashes and the signature of seals.
const Algorithm = "sha256+ed25519"

const hashSize = sha256.Size

// Row is a row of the ledger as it is hashed.
type Row struct {
	Pos           int64
	At, WrittenAt time.Time
	Kind          string
	Org, Subject  int64
	Entity        string
	EntityID      int64
	Version       int64
	Body          string // as the database prints it
}

// Leaf is the hash of a row: a length stands before each field, so that nothing can move from one to the next.
func (r *Row) Leaf() [hashSize]byte {
	b := []byte{0} // RFC 6962: a leaf is no node
	number := func(v int64) { b = binary.BigEndian.AppendUint64(b, uint64(v)) }
	text := func(s string) { number(int64(len(s))); b = append(b, s...) }
	number(r.Pos)
	number(r.At.UnixMicro())
	number(r.WrittenAt.UnixMicro())
	text(r.Kind)
	number(r.Org)
	number(r.Subject)
	text(r.Entity)
	number(r.EntityID)
	number(r.Version)
	text(r.Body)
	return sha256.Sum256(b)
}

// Root is the root of the Merkle tree over leaves, that stand one after the other (RFC 6962, 2.1).
func Root(leaves []byte) [hashSize]byte {
	n := len(leaves) / hashSize
	switch n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return [hashSize]byte(leaves)
	}
	k := 1
	for 2*k < n {
		k *= 2
	}
	left, right := Root(leaves[:k*hashSize]), Root(leaves[k*hashSize:])
	return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
}

// Seal is what was sealed at once.
type Seal struct {
	N         int64     `json:"n"`
	Algorithm string    `json:"algorithm"`
	At        time.Time `json:"at"`
	Positions []int64   `json:"-"`
	Leaves    []byte    `json:"-"`
	Root      []byte    `json:"root"`
	Prev      []byte    `json:"prev"`
	Hash      []byte    `json:"hash"`
	Signature []byte    `json:"signature"`
}

// digest is the hash of a seal.
func (s *Seal) digest() []byte {
	b := append([]byte("zhijiao audit seal\x00"), s.Algorithm...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.N))
	b = binary.BigEndian.AppendUint64(b, uint64(s.At.UnixMicro()))
	b = binary.BigEndian.AppendUint64(b, uint64(len(s.Positions)))
	for _, p := range s.Positions {
		b = binary.BigEndian.AppendUint64(b, uint64(p))
	}
	b = append(append(b, s.Root...), s.Prev...)
	h := sha256.Sum256(b)
	return h[:]
}

// make seals rows after a seal; prev is nil for the first.
func sealRows(prev *Seal, at time.Time, rows []Row, key ed25519.PrivateKey) *Seal {
	s := &Seal{N: 1, Algorithm: Algorithm, At: at.UTC().Truncate(time.Microsecond), Positions: []int64{}, Leaves: []byte{}, Prev: make([]byte, hashSize)}
	if prev != nil {
		s.N, s.Prev = prev.N+1, prev.Hash
	}
	for i := range rows {
		leaf := rows[i].Leaf()
		s.Positions, s.Leaves = append(s.Positions, rows[i].Pos), append(s.Leaves, leaf[:]...)
	}
	root := Root(s.Leaves)
	s.Root = root[:]
	s.Hash = s.digest()
	s.Signature = ed25519.Sign(key, s.Hash)
	return s
}
