package audit

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/crypto"
)

// Proof shows that a row of the ledger is what was sealed, without the ledger: the row, its path to the root of its seal's tree (RFC 6962, 2.1.1),
// and the seal with its signature.
type Proof struct {
	Row       Row       `json:"row"`
	Index     int       `json:"index"` // of the row's leaf
	Path      [][]byte  `json:"path"`
	Seal      int64     `json:"seal"`
	Algorithm string    `json:"algorithm"`
	At        time.Time `json:"at"`
	Positions []int64   `json:"positions"`
	Root      []byte    `json:"root"`
	Prev      []byte    `json:"prev"`
	Hash      []byte    `json:"hash"`
	Signature []byte    `json:"signature"`
}

// path is what has to be hashed with leaf i, in order, to arrive at the root.
func path(h sum, leaves []byte, i int) [][]byte {
	n := len(leaves) / hashSize
	if n <= 1 {
		return nil
	}
	k := 1
	for 2*k < n {
		k *= 2
	}
	left, right := leaves[:k*hashSize], leaves[k*hashSize:]
	if i < k {
		other := Root(h, right)
		return append(path(h, left, i), other[:])
	}
	other := Root(h, left)
	return append(path(h, right, i-k), other[:])
}

// rootOf is the root that a leaf and its path lead to, in a tree of n leaves; false where the path does not fit.
func rootOf(h sum, leaf [hashSize]byte, i, n int, path [][]byte) ([hashSize]byte, bool) {
	if n <= 1 {
		return leaf, len(path) == 0 && i == 0
	}
	if len(path) == 0 || i >= n || len(path[len(path)-1]) != hashSize {
		return leaf, false
	}
	k := 1
	for 2*k < n {
		k *= 2
	}
	other, rest := path[len(path)-1], path[:len(path)-1]
	node := func(left, right []byte) [hashSize]byte { return h(append(append([]byte{1}, left...), right...)) }
	if i < k {
		below, ok := rootOf(h, leaf, i, k, rest)
		return node(below[:], other), ok
	}
	below, ok := rootOf(h, leaf, i-k, n-k, rest)
	return node(other, below[:]), ok
}

// Verify says what is wrong with a proof; nil: nothing, for one of the keys.
func (p *Proof) Verify(keys []crypto.Public) error {
	h := crypto.Sum(p.Algorithm)
	if h == nil {
		return fmt.Errorf("row %d: there is no algorithm %q", p.Row.Pos, p.Algorithm)
	}
	if p.Index < 0 || p.Index >= len(p.Positions) || p.Positions[p.Index] != p.Row.Pos {
		return fmt.Errorf("row %d is none of seal %d", p.Row.Pos, p.Seal)
	}
	root, ok := rootOf(h, p.Row.Leaf(h), p.Index, len(p.Positions), p.Path)
	if !ok || !bytes.Equal(root[:], p.Root) {
		return fmt.Errorf("row %d is not what was sealed", p.Row.Pos)
	}
	s := Seal{N: p.Seal, Algorithm: p.Algorithm, At: p.At, Positions: p.Positions, Root: p.Root, Prev: p.Prev}
	if !bytes.Equal(s.digest(h), p.Hash) {
		return fmt.Errorf("seal %d was changed", p.Seal)
	}
	if !slices.ContainsFunc(keys, func(k crypto.Public) bool { return k.Algorithm == p.Algorithm && k.Verify(p.Hash, p.Signature) }) {
		return fmt.Errorf("seal %d: the key did not sign it", p.Seal)
	}
	return nil
}

// Querier is a pool, a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Proofs are the rows of the ledger about some things, each with its proof; what is not sealed yet has none and is left out, and counted.
func Proofs(ctx context.Context, q Querier, entity string, ids []int64) (proofs []Proof, unsealed int, err error) {
	rows, err := q.Query(ctx, rowColumns+" WHERE entity = $1 AND entity_id = ANY ($2) ORDER BY pos", entity, ids)
	if err != nil {
		return nil, 0, fmt.Errorf("read the ledger: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanRow)
	if err != nil {
		return nil, 0, fmt.Errorf("read the ledger: %w", err)
	}
	var s *Seal
	for i := range list {
		r := &list[i]
		if s == nil || !slices.Contains(s.Positions, r.Pos) {
			rows, err := q.Query(ctx, sealColumns+" WHERE $1 = ANY (positions) AND positions[cardinality(positions)] >= $1 AND positions[1] <= $1", r.Pos)
			if err != nil {
				return nil, 0, fmt.Errorf("read a seal: %w", err)
			}
			found, err := pgx.CollectRows(rows, scanSeal)
			if err != nil {
				return nil, 0, fmt.Errorf("read a seal: %w", err)
			}
			if len(found) == 0 {
				unsealed++
				continue
			}
			s = &found[0]
		}
		h := crypto.Sum(s.Algorithm)
		n := slices.Index(s.Positions, r.Pos)
		if h == nil || len(s.Leaves) != len(s.Positions)*hashSize {
			return nil, 0, fmt.Errorf("seal %d was changed", s.N)
		}
		proofs = append(proofs, Proof{*r, n, path(h, s.Leaves, n), s.N, s.Algorithm, s.At, s.Positions, s.Root, s.Prev, s.Hash, s.Signature})
	}
	return proofs, unsealed, nil
}
