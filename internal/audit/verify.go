package audit

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"zhijiao/internal/crypto"
)

// What Verify finds.
const (
	Edited       = "edited"        // a row says something else than when it was sealed
	Deleted      = "deleted"       // a row that was sealed is gone
	Inserted     = "inserted"      // a row among those that were sealed, and none of them
	BrokenSeal   = "broken seal"   // a seal was changed, or does not follow on the one before
	Forged       = "forged"        // a seal that the key did not sign
	CutOff       = "cut off"       // the copy outside of the database goes further
	OtherHistory = "other history" // the copy outside of the database says something else
	Stopped      = "stopped"       // nothing was sealed for longer than an hour
)

// Finding is something that is not as it was sealed.
type Finding struct {
	What string
	Pos  int64 // of the ledger's row; 0: none
	Seal int64 // 0: none
	Text string
}

// String is one line.
func (f Finding) String() string {
	switch {
	case f.Pos != 0:
		return fmt.Sprintf("%s: ledger row %d (seal %d)%s", f.What, f.Pos, f.Seal, f.Text)
	default:
		return fmt.Sprintf("%s: seal %d%s", f.What, f.Seal, f.Text)
	}
}

// Report is what Verify says.
type Report struct {
	Rows, Seals int64
	Unsealed    int64 // rows after the last seal
	SealedUntil time.Time
	Findings    []Finding // the first first; at most 100
}

func (r *Report) find(f Finding) {
	if len(r.Findings) < 100 {
		r.Findings = append(r.Findings, f)
	}
}

// longestQuiet is how far apart two seals may be: one without rows is made every hour.
const longestQuiet = 70 * time.Minute

// verifier follows seals and rows in their order.
type verifier struct {
	keys   []crypto.Public
	anchor map[int64]anchored
	report Report
	prev   *Seal
}

// seal checks one seal by itself and against the one before.
func (v *verifier) seal(s *Seal) {
	v.report.Seals++
	n, prev := int64(1), make([]byte, hashSize)
	if v.prev != nil {
		n, prev = v.prev.N+1, v.prev.Hash
	}
	h := crypto.Sum(s.Algorithm)
	switch {
	case s.N != n:
		v.report.find(Finding{What: BrokenSeal, Seal: s.N, Text: fmt.Sprintf(": seal %d is missing", n)})
	case !bytes.Equal(s.Prev, prev):
		v.report.find(Finding{What: BrokenSeal, Seal: s.N, Text: ": it does not follow on the one before"})
	case h == nil || len(s.Leaves) != hashSize*len(s.Positions) || !s.rooted(h) || !bytes.Equal(s.digest(h), s.Hash):
		v.report.find(Finding{What: BrokenSeal, Seal: s.N, Text: ": it was changed"})
	case !v.signed(s):
		v.report.find(Finding{What: Forged, Seal: s.N, Text: ": the key did not sign it"})
	}
	if a, ok := v.anchor[s.N]; ok && !bytes.Equal(a.Hash, s.Hash) {
		v.report.find(Finding{What: OtherHistory, Seal: s.N, Text: ": the copy outside of the database is another"})
	}
	if v.prev != nil && s.At.Sub(v.prev.At) > longestQuiet {
		v.report.find(Finding{What: Stopped, Seal: s.N, Text: fmt.Sprintf(": nothing was sealed for %s before it", s.At.Sub(v.prev.At).Round(time.Minute))})
	}
	v.prev = s
	v.report.SealedUntil = s.At
}

// rooted reports whether the root is that of the leaves.
func (s *Seal) rooted(h sum) bool {
	root := Root(h, s.Leaves)
	return bytes.Equal(root[:], s.Root)
}

// signed reports whether one of the keys signed a seal.
func (v *verifier) signed(s *Seal) bool {
	return slices.ContainsFunc(v.keys, func(k crypto.Public) bool { return k.Algorithm == s.Algorithm && k.Verify(s.Hash, s.Signature) })
}

// rows compares the rows there are, those after the seal before up to the last of this one, with those that were sealed.
func (v *verifier) rows(s *Seal, rows []Row) {
	h := crypto.Sum(s.Algorithm)
	if h == nil { // the seal was found to be broken
		return
	}
	i := 0
	for _, r := range rows {
		v.report.Rows++
		for i < len(s.Positions) && s.Positions[i] < r.Pos {
			v.report.find(Finding{What: Deleted, Pos: s.Positions[i], Seal: s.N})
			i++
		}
		if i >= len(s.Positions) || s.Positions[i] != r.Pos {
			v.report.find(Finding{What: Inserted, Pos: r.Pos, Seal: s.N})
			continue
		}
		if leaf := r.Leaf(h); len(s.Leaves) >= (i+1)*hashSize && !bytes.Equal(leaf[:], s.Leaves[i*hashSize:(i+1)*hashSize]) {
			v.report.find(Finding{What: Edited, Pos: r.Pos, Seal: s.N})
		}
		i++
	}
	for ; i < len(s.Positions); i++ {
		v.report.find(Finding{What: Deleted, Pos: s.Positions[i], Seal: s.N})
	}
}

// end looks at what the copy outside says of seals that are not there.
func (v *verifier) end(now time.Time) {
	last := int64(0)
	if v.prev != nil {
		last = v.prev.N
		if now.Sub(v.prev.At) > longestQuiet {
			v.report.find(Finding{What: Stopped, Seal: last, Text: fmt.Sprintf(": nothing was sealed for %s after it", now.Sub(v.prev.At).Round(time.Minute))})
		}
	}
	for n, a := range v.anchor {
		if n == last+1 {
			v.report.find(Finding{What: CutOff, Seal: n, Text: fmt.Sprintf(" of %s and what follows is gone", a.At.Format(time.RFC3339))})
		}
	}
}
