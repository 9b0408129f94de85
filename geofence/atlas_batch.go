package geofence

// batchSize is how many points are located side by side.
const batchSize = 64

// LocateAll calls f with each of many points' number and zones, in order. It looks up what many points need before it decides
// any of them, so that the waits for memory overlap. The zones are good until f returns.
func (a *Atlas) LocateAll(lons, lats []float64, to []*Zone, f func(i int, zones []*Zone)) {
	var plots [batchSize]plot
	var spots [batchSize]spot
	var open [batchSize]int
	var touched uint32
	for first := 0; first < len(lons); first += batchSize {
		n, m := min(batchSize, len(lons)-first), 0
		for k := range n {
			lon, lat := lons[first+k], lats[first+k]
			if plots[k] = 0; !a.box.covers(lon, lat) {
				continue
			}
			c, r := min(int((lon-a.minLon)*a.perLon), a.cols-1), min(int((lat-a.minLat)*a.perLat), a.rows-1)
			plots[k], spots[k] = a.nodes[r*a.cols+c], spot{float64(c), float64(r), 1}
		}
		for k := range n {
			if plots[k]&kindOfPlot == parted {
				open[m], m = k, m+1
			}
		}
		for m > 0 {
			still := 0
			for _, k := range open[:m] {
				s := &spots[k]
				s.size /= split
				u, v := (lons[first+k]-a.minLon)*a.perLon, (lats[first+k]-a.minLat)*a.perLat
				c, r := min(int((u-s.u)/s.size), split-1), min(int((v-s.v)/s.size), split-1)
				s.u, s.v = s.u+float64(float64(c)*s.size), s.v+float64(float64(r)*s.size)
				p := a.nodes[plots[k].value()+r*split+c]
				if plots[k] = p; p&kindOfPlot == parted {
					open[still], still = k, still+1
				}
			}
			m = still
		}
		for k := range n { // what will be read is on its way
			if p := plots[k]; p&kindOfPlot == listed {
				touched += a.entries[p.value()]
				open[m], m = k, m+1
			}
		}
		for _, k := range open[:m] {
			if e := a.entries[plots[k].value()+1:]; e[0]&(1<<entryBits-1) == entryRuns {
				if q := a.at[e[0]>>entryBits][e[2]]; q.lon > 1000 {
					touched++
				}
			}
		}
		for k := range n {
			to = to[:0]
			switch p := plots[k]; p & kindOfPlot {
			case covered:
				to = append(to, a.zones[p.value()])
			case listed:
				to = a.listed(p.value(), spots[k], point{lons[first+k], lats[first+k]}, to)
			}
			f(first+k, to)
		}
	}
	a.touch(touched)
}

// touch keeps the compiler from leaving out a read.
//
//go:noinline
func (a *Atlas) touch(uint32) {}
