package geofence

import "math"

// WGS-84.
const (
	semiMajor     = 6378137.0
	flattening    = 1 / 298.257223563
	eccentricity2 = flattening * (2 - flattening)
	radian        = math.Pi / 180
)

// Products are converted explicitly wherever they are added: the compiler must not fuse them on one architecture and not
// on the other.

// degreeScale is how many metres on the ellipsoid a degree is at a latitude, east and north: the prime vertical and the
// meridional radius of curvature.
func degreeScale(lat float64) (east, north float64) {
	s, c := math.Sincos(lat * radian)
	w := 1 - float64(eccentricity2*s*s)
	n := semiMajor / math.Sqrt(w)
	m := n * (1 - eccentricity2) / w
	return n * c * radian, m * radian
}

// near is up to where a plane at the middle latitude stands for the ground: 200 km, within 0.02 %.
const near = 200_000

// metres is the distance between two points on the ellipsoid: within 0.02 %.
func metres(lon1, lat1, lon2, lat2 float64) float64 {
	east, north := degreeScale((lat1 + lat2) / 2)
	dx, dy := wrapLon(lon2-lon1)*east, (lat2-lat1)*north
	if d := math.Sqrt(float64(dx*dx) + float64(dy*dy)); d <= near {
		return d
	}
	return andoyer(lon1, lat1, lon2, lat2)
}

// andoyer is the distance by the formula of Andoyer and Lambert: metres over thousands of kilometres.
func andoyer(lon1, lat1, lon2, lat2 float64) float64 {
	reduced := func(lat float64) float64 { return math.Atan((1 - flattening) * math.Tan(lat*radian)) }
	b1, b2 := reduced(lat1), reduced(lat2)
	s1, c1 := math.Sincos(b1)
	s2, c2 := math.Sincos(b2)
	sl, cl := math.Sincos(wrapLon(lon2-lon1) * radian)
	x, y := c2*sl, float64(c1*s2)-float64(s1*c2*cl)
	sigma := math.Atan2(math.Sqrt(float64(x*x)+float64(y*y)), float64(s1*s2)+float64(c1*c2*cl))
	sp, cp := math.Sincos((b1 + b2) / 2)
	sq, cq := math.Sincos((b2 - b1) / 2)
	sh, ch := math.Sincos(sigma / 2)
	if sh == 0 || ch == 0 {
		return semiMajor * sigma
	}
	sin := math.Sin(sigma)
	u := (sigma - sin) * (sp * cq / ch) * (sp * cq / ch)
	v := (sigma + sin) * (cp * sq / sh) * (cp * sq / sh)
	return semiMajor * (sigma - float64(flattening/2*(u+v)))
}

// wrapLon brings a difference of longitudes into [-180, 180].
func wrapLon(d float64) float64 {
	switch {
	case d > 180:
		return d - 360
	case d < -180:
		return d + 360
	}
	return d
}

// nearest is the point of a segment that is nearest to p, in p's local projection, as a fraction of the way.
func nearest(east, north, plon, plat, lon1, lat1, lon2, lat2 float64) (f, square float64) {
	ax, ay := wrapLon(lon1-plon)*east, (lat1-plat)*north
	bx, by := wrapLon(lon2-plon)*east, (lat2-plat)*north
	dx, dy := bx-ax, by-ay
	if n := float64(dx*dx) + float64(dy*dy); n > 0 {
		f = max(0, min(1, -(float64(ax*dx)+float64(ay*dy))/n))
	}
	x, y := ax+float64(f*dx), ay+float64(f*dy)
	return f, float64(x*x) + float64(y*y)
}

// segmentMetres is the distance of a point from a segment.
func segmentMetres(plon, plat, lon1, lat1, lon2, lat2 float64) float64 {
	east, north := degreeScale(plat)
	f, _ := nearest(east, north, plon, plat, lon1, lat1, lon2, lat2)
	return metres(plon, plat, along(lon1, lon2, f), along(lat1, lat2, f))
}

// along is the point at a fraction of the way from a to b.
func along(a, b, f float64) float64 { return a + float64(f*wrapLon(b-a)) }

// box is a rectangle of longitudes and latitudes.
type box struct{ minLon, minLat, maxLon, maxLat float64 }

// nowhere is the box that any point makes larger.
var nowhere = box{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}

func (b *box) add(lon, lat float64) {
	b.minLon, b.maxLon = min(b.minLon, lon), max(b.maxLon, lon)
	b.minLat, b.maxLat = min(b.minLat, lat), max(b.maxLat, lat)
}

func (b *box) meets(o *box) bool {
	return b.minLon <= o.maxLon && b.maxLon >= o.minLon && b.minLat <= o.maxLat && b.maxLat >= o.minLat
}

// meetsAround is meets for boxes that may reach beyond ±180°.
func (b *box) meetsAround(o *box) bool {
	for _, turn := range [...]float64{0, 360, -360} {
		if b.minLon <= o.maxLon+turn && b.maxLon >= o.minLon+turn && b.minLat <= o.maxLat && b.maxLat >= o.minLat {
			return true
		}
	}
	return false
}

// square is the square of the distance of a point from the box in a plane, whichever way round the earth is shorter. A hair
// less, so that it is never more than that of an edge in the box.
func (b *box) square(a *aim) float64 {
	const hair = 1 - 1e-9
	dx, dy := max(0, b.minLon-a.lon, a.lon-b.maxLon), max(0, b.minLat-a.lat, a.lat-b.maxLat)*a.north
	if dx > 0 {
		dx = max(0, min(dx, b.minLon+360-a.lon, a.lon+360-b.maxLon)) * a.east
	}
	return hair * (float64(dx*dx) + float64(dy*dy))
}

func (b *box) covers(lon, lat float64) bool {
	return lon >= b.minLon && lon <= b.maxLon && lat >= b.minLat && lat <= b.maxLat
}
