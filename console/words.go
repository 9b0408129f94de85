package console

import (
	"math"

	"zhijiao/alerts"
)

// compass names eight directions, from north clockwise.
var compass = [8]alerts.Place{{ZH: "正北", EN: "the north"}, {ZH: "东北", EN: "the north-east"}, {ZH: "正东", EN: "the east"}, {ZH: "东南", EN: "the south-east"},
	{ZH: "正南", EN: "the south"}, {ZH: "西南", EN: "the south-west"}, {ZH: "正西", EN: "the west"}, {ZH: "西北", EN: "the north-west"}}

// towards is the direction of a point as seen from another, in words.
func towards(fromLon, fromLat, lon, lat float64) alerts.Place {
	east, north := (lon-fromLon)*math.Cos(fromLat*math.Pi/180), lat-fromLat
	a := math.Atan2(east, north) // clockwise from north
	return compass[(int(math.Round(a/(math.Pi/4)))+8)%8]
}
