package track

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// minutes is an hour of a wristband that sends a fix a minute with everything R34 asks for: at home, or on its way.
func minutes(r *rand.Rand, n int, moving bool) []Fix {
	start := time.Date(2026, 11, 24, 3, 0, 7, 0, time.UTC)
	lon, lat := 1131660000+float64(r.IntN(1e6)), 306600000+float64(r.IntN(1e6))
	course := r.Float64() * 2 * math.Pi
	var out []Fix
	for i := range n {
		at := start.Add(time.Duration(i) * time.Minute)
		speed := float32(0)
		if moving {
			course += r.NormFloat64() * .3
			v := 8 + r.NormFloat64()
			speed = float32(math.Round(v*10) / 10)
			lon, lat = lon+v*60*math.Cos(course)*104, lat+v*60*math.Sin(course)*90
		}
		received := at.Add(time.Duration(250+r.ExpFloat64()*150) * time.Millisecond)
		skew := int32(received.Sub(at).Milliseconds())
		accuracy := float32(math.Round((4+r.ExpFloat64()*2)*10) / 10)
		satellites, battery, strap, signal, charging := int16(8+r.IntN(5)), int16(90-i/20), int16(1), int16(-85+r.IntN(9)), false
		out = append(out, Fix{At: at, Device: 4711, Boot: 1_763_900_000, Seq: int64(1000 + i), Binding: 815, ReceivedAt: received,
			StoredAt: received.Add(time.Duration(4+r.ExpFloat64()*4) * time.Millisecond),
			LonE7:    int32(lon + r.NormFloat64()*350), LatE7: int32(lat + r.NormFloat64()*350), Accuracy: &accuracy, Speed: &speed, SkewMS: &skew,
			Method: 1, Datum: 1, Satellites: &satellites, Battery: &battery, Strap: &strap, Signal: &signal, Charging: &charging,
			Cell: []string{"460-00-9346-21532", "460-00-9346-21533"}[r.IntN(2)], Operator: "46000", SIM: "89860012345678901234"})
	}
	return out
}

func TestPackIsLossless_R34(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 3000 {
		fixes := anything(r, 1+r.IntN(70))
		if round%3 == 0 {
			fixes = minutes(r, 1+r.IntN(60), round%2 == 0)
		}
		check(t, fixes)
	}
}

func check(t *testing.T, fixes []Fix) []byte {
	t.Helper()
	data, err := Encode(fixes)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(fixes) {
		t.Fatalf("%d fixes of %d", len(got), len(fixes))
	}
	for i := range got {
		if !Same(&got[i], &fixes[i]) {
			t.Fatalf("fix %d of %d\n got %+v\nwant %+v", i, len(fixes), got[i], fixes[i])
		}
	}
	return data
}

// anything is fixes with whatever a column can hold.
func anything(r *rand.Rand, n int) []Fix {
	large := func() int64 {
		switch r.IntN(4) {
		case 0:
			return r.Int64() - r.Int64()
		case 1:
			return []int64{math.MinInt64, math.MaxInt64, 0, -1}[r.IntN(4)]
		}
		return int64(r.IntN(100))
	}
	short := func() *int16 {
		v := int16(r.Uint32())
		if r.IntN(3) == 0 {
			return nil
		}
		return &v
	}
	float := func() *float32 {
		v := []float32{math.Float32frombits(r.Uint32()), float32(math.Copysign(0, -1)), 0, 1e30, float32(r.IntN(100)) / 10, float32(math.NaN())}[r.IntN(6)]
		if r.IntN(3) == 0 {
			return nil
		}
		return &v
	}
	text := func() string { return []string{"", "x", "460-00-1-2", "\x00\xff"}[r.IntN(4)] }
	when := func() time.Time { return time.UnixMicro(r.Int64N(1<<52) - 1<<51).UTC() }
	out := make([]Fix, n)
	for i := range out {
		f := &out[i]
		f.At, f.ReceivedAt, f.StoredAt = when(), when(), when()
		f.Boot, f.Seq = large(), large()
		f.LonE7, f.LatE7, f.Flags = int32(r.Uint32()), int32(r.Uint32()), int16(r.Uint32())
		f.Accuracy, f.Speed = float(), float()
		f.Satellites, f.Battery, f.Strap, f.Signal = short(), short(), short(), short()
		f.Cell, f.Operator, f.SIM, f.LastGasp = text(), text(), text(), text()
		if r.IntN(2) == 0 {
			v, b := int32(r.Uint32()), r.IntN(2) == 0
			f.SkewMS, f.Charging = &v, &b
		}
	}
	return out
}

func TestPackRefusesWhatItCannotKeep(t *testing.T) {
	at := time.Unix(1, 0).UTC()
	for name, fixes := range map[string][]Fix{
		"none":        {},
		"nanoseconds": {{At: at.Add(1), ReceivedAt: at, StoredAt: at}},
		"long text":   {{At: at, ReceivedAt: at, StoredAt: at, Cell: string(make([]byte, maxText+1))}},
		"too many":    make([]Fix, MaxFixes+1),
	} {
		if _, err := Encode(fixes); err == nil {
			t.Errorf("%s: packed", name)
		}
	}
}

func TestPackTellsDamage(t *testing.T) {
	data := check(t, minutes(rand.New(rand.NewPCG(3, 4)), 60, true))
	for i := range data {
		bad := append([]byte(nil), data...)
		bad[i] ^= 1 << (i % 8)
		if _, err := Decode(bad); err == nil {
			t.Fatalf("byte %d was changed and nobody tells", i)
		}
	}
	for n := range data {
		if _, err := Decode(data[:n]); err == nil {
			t.Fatalf("only %d of %d bytes, and nobody tells", n, len(data))
		}
	}
}

// TestPackedSize_R43 holds the size that makes six months of a province fit one machine; the row around it costs about two bytes a fix.
func TestPackedSize_R43(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, moving := range []bool{false, true} {
		var bytes, fixes int
		for range 200 {
			bytes, fixes = bytes+len(check(t, minutes(r, 60, moving))), fixes+60
		}
		t.Logf("moving %v: %.2f bytes a fix", moving, float64(bytes)/float64(fixes))
		if got := float64(bytes) / float64(fixes); got > 12 {
			t.Errorf("moving %v: %.1f bytes a fix, at most 12", moving, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 8))
	for i := range 8 {
		data, err := Encode(anything(r, 1+i))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[:len(data)-4])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) < 2 {
			return
		}
		fixes, err := decode(body) // past the checksum
		if err != nil {
			return
		}
		again, err := Encode(fixes)
		if err != nil {
			return // times that no calendar has
		}
		got, err := Decode(again)
		if err != nil || len(got) != len(fixes) {
			t.Fatalf("what was opened cannot be packed again: %v", err)
		}
		for i := range got {
			if !Same(&got[i], &fixes[i]) {
				t.Fatalf("fix %d: %+v became %+v", i, fixes[i], got[i])
			}
		}
	})
}

func TestSameSeesEveryField(t *testing.T) {
	f := minutes(rand.New(rand.NewPCG(9, 1)), 1, true)[0]
	v := reflect.ValueOf(&f).Elem()
	for i := range v.NumField() {
		other := f
		o := reflect.ValueOf(&other).Elem().Field(i)
		o.Set(reflect.Zero(o.Type()))
		if v.Field(i).IsZero() {
			switch o.Kind() {
			case reflect.String:
				o.SetString("x")
			default:
				o.SetInt(1)
			}
		}
		if Same(&f, &other) {
			t.Errorf("%s is not compared", v.Type().Field(i).Name)
		}
	}
}

func BenchmarkDecodeHour(b *testing.B) {
	data, err := Encode(minutes(rand.New(rand.NewPCG(1, 1)), 60, true))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}
