package simulate

import "math"

// point is degrees, WGS-84, lon before lat.
type point struct{ lon, lat float64 }

// Area is a region people must stay in or out of. Distance is signed metres to its boundary, negative inside.
type Area interface {
	Distance(lon, lat float64) float64
}

const metresPerDegreeLat = 110_850 // at 30.6° N, WGS-84

func metresPerDegreeLon(lat float64) float64 { return 111_320 * math.Cos(lat*math.Pi/180) }

// offset moves p by metres east and north.
func (p point) offset(east, north float64) point {
	return point{p.lon + east/metresPerDegreeLon(p.lat), p.lat + north/metresPerDegreeLat}
}

// metres is the distance between two near points.
func (p point) metres(q point) float64 {
	return math.Hypot((q.lon-p.lon)*metresPerDegreeLon((p.lat+q.lat)/2), (q.lat-p.lat)*metresPerDegreeLat)
}

// towards is the point at fraction f of the way to q.
func (p point) towards(q point, f float64) point {
	return point{p.lon + (q.lon-p.lon)*f, p.lat + (q.lat-p.lat)*f}
}

// corner is where a path that follows streets turns: east-west first, then north-south.
func (p point) corner(q point) point { return point{q.lon, p.lat} }
