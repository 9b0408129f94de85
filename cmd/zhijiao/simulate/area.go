package simulate

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// Circle is an Area.
type Circle struct{ Lon, Lat, RadiusM float64 }

// Distance is signed metres to the circle, negative inside.
func (c Circle) Distance(lon, lat float64) float64 {
	return point{c.Lon, c.Lat}.metres(point{lon, lat}) - c.RadiusM
}

// Outline is an Area of rings, even-odd. Its geometry is deliberately not the platform's: it is what the platform is
// judged by, and needs no more than a few metres.
type Outline struct{ rings [][]point }

// ReadOutline takes the polygons of a GeoJSON document in WGS-84.
func ReadOutline(doc []byte) (*Outline, error) {
	var d struct {
		Features []struct {
			Geometry struct {
				Type        string
				Coordinates json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(doc, &d); err != nil {
		return nil, fmt.Errorf("read outline: %w", err)
	}
	var o Outline
	for _, f := range d.Features {
		var polygons [][][][2]float64
		var err error
		switch f.Geometry.Type {
		case "Polygon":
			polygons = make([][][][2]float64, 1)
			err = json.Unmarshal(f.Geometry.Coordinates, &polygons[0])
		case "MultiPolygon":
			err = json.Unmarshal(f.Geometry.Coordinates, &polygons)
		}
		if err != nil {
			return nil, fmt.Errorf("read outline: %w", err)
		}
		for _, rings := range polygons {
			for _, ring := range rings {
				var r []point
				for _, c := range ring {
					r = append(r, point{c[0], c[1]})
				}
				o.rings = append(o.rings, r)
			}
		}
	}
	if len(o.rings) == 0 {
		return nil, errors.New("read outline: no polygon in it")
	}
	return &o, nil
}

// Distance is signed metres to the nearest edge, negative inside.
func (o *Outline) Distance(lon, lat float64) float64 {
	p, inside, best := point{lon, lat}, false, math.Inf(1)
	kx, ky := metresPerDegreeLon(lat), float64(metresPerDegreeLat)
	for _, ring := range o.rings {
		for i := 1; i < len(ring); i++ {
			a, b := ring[i-1], ring[i]
			if (a.lat > lat) != (b.lat > lat) && lon < (b.lon-a.lon)*(lat-a.lat)/(b.lat-a.lat)+a.lon {
				inside = !inside
			}
			ax, ay, bx, by := (a.lon-p.lon)*kx, (a.lat-p.lat)*ky, (b.lon-p.lon)*kx, (b.lat-p.lat)*ky
			dx, dy := bx-ax, by-ay
			if t, n := -(ax*dx + ay*dy), dx*dx+dy*dy; t > 0 && n > 0 {
				f := t / n
				if f > 1 {
					f = 1
				}
				ax, ay = ax+f*dx, ay+f*dy
			}
			if d := ax*ax + ay*ay; d < best {
				best = d
			}
		}
	}
	best = math.Sqrt(best)
	if inside {
		return -best
	}
	return best
}
