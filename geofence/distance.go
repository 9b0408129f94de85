package geofence

import "math"

// WGS-84.
const (
	semiMajor     = 6378137.0
	eccentricity2 = 6.69437999014e-3
	radian        = math.Pi / 180
)

// degreeScale is how many metres on the ellipsoid a degree is at a latitude, east and north: the prime vertical and the
// meridional radius of curvature.
func degreeScale(lat float64) (east, north float64) {
	s, c := math.Sincos(lat * radian)
	w := 1 - eccentricity2*s*s
	n := semiMajor / math.Sqrt(w)
	m := n * (1 - eccentricity2) / w
	return n * c * radian, m * radian
}

// metres is the distance between two points on the ellipsoid, by the radii of curvature at the middle latitude: within
// 0.1 % up to some hundred kilometres.
func metres(lon1, lat1, lon2, lat2 float64) float64 {
	east, north := degreeScale((lat1 + lat2) / 2)
	return math.Hypot(wrapLon(lon2-lon1)*east, (lat2-lat1)*north)
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
	if n := dx*dx + dy*dy; n > 0 {
		f = math.Max(0, math.Min(1, -(ax*dx+ay*dy)/n))
	}
	x, y := ax+f*dx, ay+f*dy
	return f, x*x + y*y
}

// segmentMetres is the distance of a point from a segment.
func segmentMetres(plon, plat, lon1, lat1, lon2, lat2 float64) float64 {
	east, north := degreeScale(plat)
	f, _ := nearest(east, north, plon, plat, lon1, lat1, lon2, lat2)
	return metres(plon, plat, lon1+f*wrapLon(lon2-lon1), lat1+f*(lat2-lat1))
}
