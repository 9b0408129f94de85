package devices

import "math"

var datumNames = [...]string{WGS84: "WGS-84", CGCS2000: "CGCS2000", GCJ02: "GCJ-02", BD09: "BD-09"}

// String is the datum as it stands on the wire and in imported files.
func (d Datum) String() string {
	if d < WGS84 || d > BD09 {
		return "undeclared"
	}
	return datumNames[d]
}

// ParseDatum knows the four names and no others: a guess would move people by half a kilometre.
func ParseDatum(s string) (Datum, bool) {
	for d := WGS84; d <= BD09; d++ {
		if s == datumNames[d] {
			return d, true
		}
	}
	return 0, false
}

// ToWGS84 converts a place from its datum, in degrees. CGCS2000 differs from WGS-84 by centimetres and is taken as equal.
// The result, converted back, is within a centimetre of what was given.
func ToWGS84(d Datum, lon, lat float64) (float64, float64) {
	switch d {
	case GCJ02:
		return invert(gcj02, lon, lat)
	case BD09:
		lon, lat = invert(bd09, lon, lat) // BD-09 is GCJ-02 shifted once more
		return invert(gcj02, lon, lat)
	default:
		return lon, lat
	}
}

// FromWGS84 converts a place to a datum, in degrees.
func FromWGS84(d Datum, lon, lat float64) (float64, float64) {
	switch d {
	case GCJ02:
		return gcj02(lon, lat)
	case BD09:
		return bd09(gcj02(lon, lat))
	default:
		return lon, lat
	}
}

// invert finds the place that forward takes to (lon, lat). The shift changes slowly from place to place, so subtracting
// the shift of the last guess converges by about three digits a round; 1e-10 degrees are a hundredth of a millimetre.
func invert(forward func(lon, lat float64) (float64, float64), lon, lat float64) (float64, float64) {
	x, y := lon, lat
	for range 12 {
		fx, fy := forward(x, y)
		dx, dy := lon-fx, lat-fy
		x, y = x+dx, y+dy
		if math.Abs(dx) < 1e-10 && math.Abs(dy) < 1e-10 {
			break
		}
	}
	return x, y
}

// gcj02 applies the shift of GCJ-02 (Krasovsky 1940 ellipsoid). Outside the rectangle where it is defined there is none.
func gcj02(lon, lat float64) (float64, float64) {
	if lon < 72.004 || lon > 137.8347 || lat < 0.8293 || lat > 55.8271 {
		return lon, lat
	}
	const (
		axis = 6378245.0
		ee   = 0.00669342162296594323
	)
	x, y := lon-105, lat-35
	both := 20*math.Sin(6*x*math.Pi) + 20*math.Sin(2*x*math.Pi)
	north := -100 + 2*x + 3*y + 0.2*y*y + 0.1*x*y + 0.2*math.Sqrt(math.Abs(x)) +
		(both+20*math.Sin(y*math.Pi)+40*math.Sin(y/3*math.Pi)+160*math.Sin(y/12*math.Pi)+320*math.Sin(y/30*math.Pi))*2/3
	east := 300 + x + 2*y + 0.1*x*x + 0.1*x*y + 0.1*math.Sqrt(math.Abs(x)) +
		(both+20*math.Sin(x*math.Pi)+40*math.Sin(x/3*math.Pi)+150*math.Sin(x/12*math.Pi)+300*math.Sin(x/30*math.Pi))*2/3
	rad := lat * math.Pi / 180
	magic := 1 - ee*math.Sin(rad)*math.Sin(rad)
	root := math.Sqrt(magic)
	return lon + east*180/(axis/root*math.Cos(rad)*math.Pi), lat + north*180/(axis*(1-ee)/(magic*root)*math.Pi)
}

// bd09 applies Baidu's shift to a place in GCJ-02.
func bd09(lon, lat float64) (float64, float64) {
	const turn = math.Pi * 3000 / 180
	z := math.Hypot(lon, lat) + 0.00002*math.Sin(lat*turn)
	theta := math.Atan2(lat, lon) + 0.000003*math.Cos(lon*turn)
	return z*math.Cos(theta) + 0.0065, z*math.Sin(theta) + 0.006
}
