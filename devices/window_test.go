package devices

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type heardKey struct{ boot, seq int64 }

// TestWindowAgainstEverythingHeard runs a window beside a set that forgets nothing.
func TestWindowAgainstEverythingHeard(t *testing.T) {
	t.Parallel()
	rapid.Check(t, windowProperty)
}

func windowProperty(t *rapid.T) {
	var w Window
	all := map[heardKey][]uint64{} // every content that was given for it
	highest := int64(math.MinInt64)
	seqs := rapid.OneOf(rapid.Int64Range(0, 30), rapid.Int64Range(0, 600), rapid.SampledFrom([]int64{0, math.MaxInt64, math.MaxInt64 - 1, -5, math.MinInt64}))
	for range rapid.IntRange(1, 300).Draw(t, "n") {
		k := heardKey{rapid.Int64Range(-1, 5).Draw(t, "boot"), seqs.Draw(t, "seq")}
		digest := rapid.Uint64Range(1, 2).Draw(t, "digest")
		before := all[k]
		got := w.Accept(k.boot, k.seq, digest)
		switch {
		case got == HeardNew && len(before) > 0:
			t.Fatalf("%v was heard and is new", k)
		case got == HeardDuplicate && len(before) == 0:
			t.Fatalf("%v was never heard and is a duplicate", k)
		case got == HeardConflict && !slices.Contains(before, 3-digest):
			t.Fatalf("%v was heard as %v, now as %d, and is a conflict", k, before, digest)
		case got == HeardBelow && k.seq >= 0 && k.boot > highest:
			t.Fatalf("%v is of the newest boot and below", k)
		}
		all[k] = append(before, digest)
		if k.seq >= 0 {
			highest = max(highest, k.boot)
		}
		if again := w.Accept(k.boot, k.seq, digest); again != HeardDuplicate && got != HeardConflict {
			t.Fatalf("%v is %d, and at once again %d", k, got, again)
		}
		if rapid.IntRange(0, 9).Draw(t, "store") == 0 {
			w = stored(t, &w)
		}
	}
	checkGaps(t, &w, all)
}

// stored takes the window through its stored form.
func stored(t *rapid.T, w *Window) Window {
	b, err := w.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var back Window
	if err := back.UnmarshalBinary(b); err != nil {
		t.Fatalf("%v: %x", err, b)
	}
	if again, _ := back.MarshalBinary(); !bytes.Equal(b, again) {
		t.Fatalf("%x became %x", b, again)
	}
	return back
}

func checkGaps(t *rapid.T, w *Window, all map[heardKey][]uint64) {
	for _, g := range w.Gaps() {
		if g.From > g.To {
			t.Fatalf("gap %+v", g)
		}
		for k := range all {
			if k.boot == g.Boot && k.seq >= g.From && k.seq <= g.To {
				t.Fatalf("%v was heard and lies in gap %+v", k, g)
			}
		}
	}
}

func TestWindowInOrderStaysSmall(t *testing.T) {
	t.Parallel()
	var w Window
	for seq := range int64(10_000) {
		if got := w.Accept(12, seq, uint64(seq)*2654435761); got != HeardNew {
			t.Fatalf("%d is %d", seq, got)
		}
	}
	b, _ := w.MarshalBinary()
	if len(b) > 420 || len(w.Gaps()) != 0 {
		t.Errorf("%d bytes, gaps %v", len(b), w.Gaps())
	}
	for seq := range int64(10_000) {
		if got := w.Accept(12, seq, uint64(seq)*2654435761); got != HeardDuplicate {
			t.Fatalf("%d again is %d", seq, got)
		}
	}
	if got := w.Accept(12, 9_990, 1); got != HeardConflict {
		t.Errorf("other content is %d", got)
	}
}

func TestWindowForgets(t *testing.T) {
	t.Parallel()
	var w Window
	for i := range int64(windowRanges + 1) {
		w.Accept(1, 2*i, uint64(i))
	}
	if got := w.Accept(1, 0, 0); got != HeardBelow {
		t.Errorf("a forgotten sequence is %d", got)
	}
	if got := w.Accept(1, 1, 0); got != HeardNew {
		t.Errorf("a gap above the floor is %d", got)
	}
	for b := range int64(4) {
		w.Accept(b+2, 0, 0)
	}
	if got := w.Accept(1, 2*40, 40); got != HeardBelow {
		t.Errorf("a forgotten boot is %d", got)
	}
	if got := w.Accept(0, 5, 0); got != HeardBelow {
		t.Errorf("a boot before everything remembered is %d", got)
	}
}

func TestWindowOfDevicesThatDoNotCount(t *testing.T) {
	t.Parallel()
	var w Window
	o := Observation{Boot: -1, Seq: derivedSeq(0x1234), Digest: 0x1234}
	if got := w.Accept(o.Boot, o.Seq, o.Digest); got != HeardBelow {
		t.Errorf("first: %d", got)
	}
	if got := w.Accept(o.Boot, o.Seq, o.Digest); got != HeardDuplicate {
		t.Errorf("again: %d", got)
	}
	for i := range uint64(windowRecent) {
		w.Accept(-1, derivedSeq(i<<32), i<<32)
	}
	if got := w.Accept(o.Boot, o.Seq, o.Digest); got != HeardBelow {
		t.Errorf("much later: %d", got)
	}
	if len(w.boots) != 0 {
		t.Error("derived numbers were entered as a sequence")
	}
}

func TestWindowGaps(t *testing.T) {
	t.Parallel()
	var w Window
	for _, seq := range []int64{5, 6, 9, 20} {
		w.Accept(3, seq, 0)
	}
	got := w.Gaps()
	if len(got) != 2 || got[0] != (Gap{3, 7, 8}) || got[1] != (Gap{3, 10, 19}) || w.Missing() != 12 {
		t.Errorf("%+v, %d missing", got, w.Missing())
	}
	c := w.Clone()
	c.Accept(3, 7, 0)
	if w.Accept(3, 7, 0) != HeardNew {
		t.Error("a clone shares memory")
	}
}

func FuzzWindowUnmarshal(f *testing.F) {
	var w Window
	for i := range int64(200) {
		w.Accept(i/40, i*i%97, uint64(i))
	}
	b, _ := w.MarshalBinary()
	f.Add(b)
	f.Add([]byte{})
	f.Add([]byte{1, 0, 0, 0})
	f.Add([]byte{1, 1, 4, 1, 6, 2, 1, 2, 2, 1, 0, 0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		var w Window
		if w.UnmarshalBinary(b) != nil {
			return
		}
		for seq := range int64(40) {
			first := w.Accept(seq%5, seq*7, 1)
			if again := w.Accept(seq%5, seq*7, 1); first == HeardNew && again != HeardDuplicate {
				t.Fatalf("%d, then %d", first, again)
			}
		}
		out, _ := w.MarshalBinary()
		if err := new(Window).UnmarshalBinary(out); err != nil {
			t.Fatalf("%v: %x", err, out)
		}
	})
}

func BenchmarkWindowAccept(b *testing.B) {
	var w Window
	var buf []byte
	seq := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		w.Accept(12, seq, uint64(seq))
		buf, _ = w.AppendBinary(buf[:0])
		if w.UnmarshalBinary(buf) != nil {
			b.Fatal("damaged")
		}
		seq++
	}
}
