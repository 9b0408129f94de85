package devices

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// metres between two places that are close to each other.
func metres(lon1, lat1, lon2, lat2 float64) float64 {
	const perDegree = 111_320
	return math.Hypot((lon1-lon2)*math.Cos(lat1*math.Pi/180), lat1-lat2) * perDegree
}

func TestDatumKnownAnswers(t *testing.T) {
	t.Parallel()
	// Tiananmen, published with the formula; the shift there is several hundred metres.
	lon, lat := FromWGS84(GCJ02, 116.39123, 39.90692)
	if metres(lon, lat, 116.39747, 39.90832) > 2 {
		t.Errorf("GCJ-02 is %f %f", lon, lat)
	}
	lon, lat = FromWGS84(BD09, 116.39123, 39.90692)
	if metres(lon, lat, 116.40384, 39.91465) > 2 {
		t.Errorf("BD-09 is %f %f", lon, lat)
	}
	if lon, lat = FromWGS84(GCJ02, 2.35, 48.85); lon != 2.35 || lat != 48.85 {
		t.Errorf("a place in France moved to %f %f", lon, lat)
	}
}

func TestR44RoundTripAtTianmen(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lon := rapid.Float64Range(112.55, 113.45).Draw(t, "lon")
		lat := rapid.Float64Range(30.38, 30.90).Draw(t, "lat")
		for d := WGS84; d <= BD09; d++ {
			x, y := FromWGS84(d, lon, lat)
			x, y = ToWGS84(d, x, y)
			if off := metres(lon, lat, x, y); off > 0.01 {
				t.Fatalf("%v comes back %.4f m off", d, off)
			}
		}
	})
}

func TestRoundTripAllOverChina(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lon := rapid.Float64Range(73.6, 135.1).Draw(t, "lon")
		lat := rapid.Float64Range(3.8, 53.6).Draw(t, "lat")
		for _, d := range []Datum{GCJ02, BD09} {
			x, y := FromWGS84(d, lon, lat)
			x, y = ToWGS84(d, x, y)
			if off := metres(lon, lat, x, y); off > 0.01 {
				t.Fatalf("%v comes back %.4f m off", d, off)
			}
		}
	})
}

// inverseError is how far, in metres, a place as sent is from what the forward formula makes of its conversion.
func inverseError(d Datum, lon, lat float64) float64 {
	x, y := ToWGS84(d, lon, lat)
	x, y = FromWGS84(d, x, y)
	return metres(lon, lat, x, y)
}

// R44: whatever place of China comes in GCJ-02 or BD-09, the forward formula takes what we make of it back to within a centimetre.
func TestInverseAgainstForward_R44(t *testing.T) {
	t.Parallel()
	check := func(t interface{ Fatalf(string, ...any) }, lon, lat float64) {
		for _, d := range []Datum{GCJ02, BD09} {
			if off := inverseError(d, lon, lat); !(off < 0.01) {
				t.Fatalf("%v at %v %v: %.4f m", d, lon, lat, off)
			}
			if x, y := ToWGS84(d, lon, lat); metres(lon, lat, x, y) < 10 { // the least shift over China is some tens of metres
				t.Fatalf("%v at %v %v is not shifted", d, lon, lat)
			}
		}
	}
	// A grid, denser than the longest wave of the formula, and lines along 105° E and 35° N, where its roots have no slope.
	for lon := 73.7; lon < 135.1; lon += 0.37 {
		for lat := 4.0; lat < 53.6; lat += 0.31 {
			check(t, lon, lat)
		}
		check(t, lon, 35)
	}
	for _, near := range []float64{0, 1e-14, 1e-12, 1e-9, 1e-6, 0.003, 0.0031} {
		check(t, 105+near, 30.66)
		check(t, 105-near, 30.66)
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, rapid.Float64Range(73.7, 135.1).Draw(t, "lon"), rapid.Float64Range(4, 53.6).Draw(t, "lat"))
	})
}

func FuzzInverse_R44(f *testing.F) {
	f.Add(113.166, 30.663)
	f.Add(105.0, 35.0)
	f.Add(73.7, 53.6)
	f.Fuzz(func(t *testing.T, lon, lat float64) {
		if !(lon > 73.7 && lon < 135.1 && lat > 4 && lat < 53.6) {
			t.Skip("not in China")
		}
		for _, d := range []Datum{GCJ02, BD09} {
			if off := inverseError(d, lon, lat); !(off < 0.01) {
				t.Fatalf("%v at %v %v: %.4f m", d, lon, lat, off)
			}
		}
	})
}

func TestConversionStaysFinite(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lon := rapid.Float64Range(-180, 180).Draw(t, "lon")
		lat := rapid.Float64Range(-90, 90).Draw(t, "lat")
		for d := WGS84; d <= BD09; d++ {
			x, y := ToWGS84(d, lon, lat)
			if math.IsNaN(x) || math.IsNaN(y) || math.IsInf(x, 0) || math.IsInf(y, 0) {
				t.Fatalf("%v: %f %f", d, x, y)
			}
		}
	})
}

func TestDatumNames(t *testing.T) {
	t.Parallel()
	for d := WGS84; d <= BD09; d++ {
		if got, ok := ParseDatum(d.String()); !ok || got != d {
			t.Errorf("%v is read as %v", d, got)
		}
	}
	for _, s := range []string{"", "wgs84", "WGS84", "undeclared", "GCJ02"} {
		if _, ok := ParseDatum(s); ok {
			t.Errorf("%q is guessed at", s)
		}
	}
}
