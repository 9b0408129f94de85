package audit

import (
	"encoding/binary"
	"time"

	"zhijiao/internal/crypto"
)

// hashSize is that of every algorithm there is.
const hashSize = 32

// sum is a hash function.
type sum = func([]byte) [hashSize]byte

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
func (r *Row) Leaf(h sum) [hashSize]byte {
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
	return h(b)
}

// Root is the root of the Merkle tree over leaves, that stand one after the other (RFC 6962, 2.1).
func Root(h sum, leaves []byte) [hashSize]byte {
	n := len(leaves) / hashSize
	switch n {
	case 0:
		return h(nil)
	case 1:
		return [hashSize]byte(leaves)
	}
	k := 1
	for 2*k < n {
		k *= 2
	}
	left, right := Root(h, leaves[:k*hashSize]), Root(h, leaves[k*hashSize:])
	return h(append(append([]byte{1}, left[:]...), right[:]...))
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
func (s *Seal) digest(hash sum) []byte {
	b := append([]byte("zhijiao audit seal\x00"), s.Algorithm...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.N))
	b = binary.BigEndian.AppendUint64(b, uint64(s.At.UnixMicro()))
	b = binary.BigEndian.AppendUint64(b, uint64(len(s.Positions)))
	for _, p := range s.Positions {
		b = binary.BigEndian.AppendUint64(b, uint64(p))
	}
	b = append(append(b, s.Root...), s.Prev...)
	h := hash(b)
	return h[:]
}

// make seals rows after a seal; prev is nil for the first.
func sealRows(prev *Seal, at time.Time, rows []Row, key crypto.Signer) (*Seal, error) {
	algorithm := key.Public().Algorithm
	h := crypto.Sum(algorithm)
	s := &Seal{N: 1, Algorithm: algorithm, At: at.UTC().Truncate(time.Microsecond), Positions: []int64{}, Leaves: []byte{}, Prev: make([]byte, hashSize)}
	if prev != nil {
		s.N, s.Prev = prev.N+1, prev.Hash
	}
	for i := range rows {
		leaf := rows[i].Leaf(h)
		s.Positions, s.Leaves = append(s.Positions, rows[i].Pos), append(s.Leaves, leaf[:]...)
	}
	root := Root(h, s.Leaves)
	s.Root = root[:]
	s.Hash = s.digest(h)
	var err error
	s.Signature, err = key.Sign(s.Hash)
	return s, err
}
