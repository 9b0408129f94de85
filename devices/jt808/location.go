package jt808

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"time"

	"zhijiao/devices"
)

// zone is where the clock of every terminal is, whatever its own zone: times are GMT+8 (R38).
var zone = time.FixedZone("GMT+8", 8*3600)

// Bits of the alarm word that mean something to us (2013, table 24).
const (
	AlarmUndervoltage = 1 << 7  // 终端主电源欠压
	AlarmPowerLost    = 1 << 8  // 终端主电源掉电
	AlarmTamper       = 1 << 17 // reserved until 2019: tracker makers report the opened case there
)

// Bits of the status word (2013, table 25).
const (
	StatusPositioned = 1 << 1 // 定位
	StatusSouth      = 1 << 2
	StatusWest       = 1 << 3
	StatusShifted    = 1 << 5 // 经纬度已经保密插件加密: GCJ-02
)

// locationSize is the basic part of a location, before the additional items.
const locationSize = 28

// Location is 位置信息: the body of a report, and an item of a batch.
type Location struct {
	Alarm, Status uint32
	Lat, Lon      uint32 // degrees × 10⁶, without sign
	Altitude      uint16 // metres
	Speed         uint16 // km/h × 10
	Course        uint16 // degrees from north
	Time          time.Time
	Items         []Item
}

// Item is one 附加信息项.
type Item struct {
	ID    byte
	Value []byte
}

// Additional items that are read. Those from 0xE0 on and those marked are of makers, not of the standard.
const (
	ItemSignal       = 0x30 // wireless signal strength, as terminals give it: 0 to 31 of 3GPP TS 27.007
	ItemSatellites   = 0x31
	itemTenths       = 0x56 // maker's: tenths of the battery, then a reserved byte
	itemPercent      = 0xd4 // maker's: battery, per cent
	itemStatePercent = 0xe4 // maker's: state of charging, battery in per cent
	itemPercentE1    = 0xe1 // maker's: battery, per cent, where it is one byte
	itemExtended     = 0xeb // maker's: a list of items with lengths and ids of two bytes
	itemPercentFE    = 0xfe // maker's: battery, per cent
)

// Ids inside of itemExtended.
const (
	extendedState     = 0x0089 // four bytes, a bit each, 0 means it is so
	extendedPercent   = 0x00a8
	extendedICCID     = 0x00b2
	extendedPercentE1 = 0x00e1
)

// extendedRemoved is the bit of extendedState that is 0 when the terminal was taken off.
const extendedRemoved = 1 << 12

// OpenLocation takes a location apart. Items are slices of the body. A tail that is no item is dropped: there are terminals that
// pad, and what stands before it is whole.
func OpenLocation(body []byte) (Location, *devices.Fault) {
	if len(body) < locationSize {
		return Location{}, &devices.Fault{Reason: devices.Malformed, Field: "location", Detail: "shorter than 28 bytes"}
	}
	at, f := openTime(body[22:28])
	if f != nil {
		return Location{}, f
	}
	b := binary.BigEndian
	l := Location{Alarm: b.Uint32(body), Status: b.Uint32(body[4:]), Lat: b.Uint32(body[8:]), Lon: b.Uint32(body[12:]),
		Altitude: b.Uint16(body[16:]), Speed: b.Uint16(body[18:]), Course: b.Uint16(body[20:]), Time: at}
	rest := body[locationSize:]
	n := 0
	for p := rest; len(p) >= 2 && len(p) >= 2+int(p[1]); p = p[2+int(p[1]):] {
		n++
	}
	if n > 0 {
		l.Items = make([]Item, n)
	}
	for i := range l.Items {
		size := int(rest[1])
		l.Items[i] = Item{ID: rest[0], Value: rest[2 : 2+size]}
		rest = rest[2+size:]
	}
	return l, nil
}

// AppendLocation appends the body of a location.
func AppendLocation(dst []byte, l Location) []byte {
	b := binary.BigEndian
	dst = b.AppendUint32(dst, l.Alarm)
	dst = b.AppendUint32(dst, l.Status)
	dst = b.AppendUint32(dst, l.Lat)
	dst = b.AppendUint32(dst, l.Lon)
	dst = b.AppendUint16(dst, l.Altitude)
	dst = b.AppendUint16(dst, l.Speed)
	dst = b.AppendUint16(dst, l.Course)
	dst = appendTime(dst, l.Time)
	for _, i := range l.Items {
		dst = append(append(dst, i.ID, byte(len(i.Value))), i.Value...)
	}
	return dst
}

// openTime reads YYMMDDhhmmss, two digits a byte, GMT+8.
func openTime(p []byte) (time.Time, *devices.Fault) {
	var n [6]int
	for i := range n {
		hi, lo := int(p[i]>>4), int(p[i]&15)
		if hi > 9 || lo > 9 {
			return time.Time{}, &devices.Fault{Reason: devices.Malformed, Field: "time", Detail: "not decimal digits"}
		}
		n[i] = hi*10 + lo
	}
	if n[1] == 0 && n[2] == 0 {
		return time.Time{}, &devices.Fault{Reason: devices.TimeTooOld, Field: "time", Detail: "the terminal has no date"}
	}
	t := time.Date(2000+n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], 0, zone)
	// Date carries what is too much over: a day that comes back another was never one.
	if int(t.Month()) != n[1] || t.Day() != n[2] || t.Hour() != n[3] || t.Minute() != n[4] || t.Second() != n[5] {
		return time.Time{}, &devices.Fault{Reason: devices.OutOfRange, Field: "time", Detail: "no such time"}
	}
	return t.UTC(), nil
}

func appendTime(dst []byte, t time.Time) []byte {
	t = t.In(zone)
	for _, n := range []int{t.Year() % 100, int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second()} {
		dst = append(dst, byte(n/10<<4|n%10))
	}
	return dst
}

// Positioned says whether the location is a place: the status says so, and it is not exactly (0, 0) (R39).
func (l *Location) Positioned() bool {
	return l.Status&StatusPositioned != 0 && (l.Lat != 0 || l.Lon != 0)
}

// Reading is how a terminal's locations are read.
type Reading struct {
	// Datum of its model, where it is recorded. Otherwise the status bit for the shifting plug-in decides between GCJ-02 and
	// WGS-84.
	Datum devices.Datum
	// Makers reads what is not in the standard, and what tracker makers agree on. The same numbers mean other things to other
	// makers, so it is for models of which somebody knows.
	Makers bool
	V2019  bool
}

// Observation is what a location says, as a fix, or as a status where it is no place. Its serial and times of receipt are the
// caller's.
func (l *Location) Observation(r Reading) (devices.Observation, *devices.Fault) {
	o := devices.Observation{Kind: devices.KindStatus, Boot: -1, Seq: -1, At: l.Time, Health: l.health(r)}
	satellites := -1
	if v := l.item(ItemSatellites); len(v) == 1 && v[0] <= 200 {
		satellites = int(v[0])
	}
	if !l.Positioned() {
		return o, nil
	}
	if l.Lat > 90e6 || l.Lon > 180e6 {
		return o, &devices.Fault{Reason: devices.OutOfRange, Field: "location", Detail: "no such place"}
	}
	o.Kind = devices.KindFix
	p := &devices.Place{Lon: float64(l.Lon) / 1e6, Lat: float64(l.Lat) / 1e6, Speed: -1, Satellites: satellites, Method: devices.MethodGNSS,
		Datum: devices.WGS84}
	if l.Status&StatusSouth != 0 {
		p.Lat = -p.Lat
	}
	if l.Status&StatusWest != 0 {
		p.Lon = -p.Lon
	}
	if speed := float64(l.Speed) / 36; speed <= 500 { // the wire's limit: nobody moves so
		p.Speed = math.Round(speed*100) / 100
	}
	switch {
	case r.Datum != 0:
		p.Datum = r.Datum
	case l.Status&StatusShifted != 0:
		p.Datum = devices.GCJ02
	}
	p.Lon, p.Lat = devices.ToWGS84(p.Datum, p.Lon, p.Lat)
	o.Place = p
	return o, nil
}

func (l *Location) item(id byte) []byte {
	for _, i := range l.Items {
		if i.ID == id {
			return i.Value
		}
	}
	return nil
}

// lowBattery stands for "undervoltage" where a terminal gives no figure: the standard has none, and this is below the
// threshold at which a battery is low.
const lowBattery = 10

func (l *Location) health(r Reading) devices.Health {
	var h devices.Health
	if v := l.item(ItemSignal); len(v) == 1 && v[0] <= 31 {
		dbm := 2*int(v[0]) - 113 // TS 27.007, +CSQ; 99 and what is above 31 is unknown
		h.Signal = &dbm
	}
	if r.Makers {
		l.makers(&h, r)
	}
	if l.Alarm&AlarmUndervoltage != 0 && h.Battery == nil {
		low := lowBattery
		h.Battery = &low
	}
	if l.Alarm&AlarmPowerLost != 0 {
		h.LastGasp = "power_off"
	}
	return h
}

// makers reads what trackers agree on without a standard.
func (l *Location) makers(h *devices.Health, r Reading) {
	for _, i := range l.Items {
		v := i.Value
		switch {
		case i.ID == itemTenths && len(v) == 2 && v[0] <= 10:
			setBattery(h, int(v[0])*10)
		case (i.ID == itemPercent || i.ID == itemPercentE1 || i.ID == itemPercentFE) && len(v) == 1:
			setBattery(h, int(v[0]))
		case i.ID == itemStatePercent && len(v) == 2:
			setBattery(h, int(v[1]))
		case i.ID == itemExtended:
			extended(h, v)
		}
	}
	if l.Alarm&AlarmTamper != 0 && !r.V2019 {
		h.Strap = devices.CaseOpen
	}
}

func setBattery(h *devices.Health, percent int) {
	if percent <= 100 {
		h.Battery = &percent
	}
}

// extended reads the items inside of one: two bytes of length, which count the id, two of id. Unless they fill it exactly it is
// something else, and nothing of it is believed.
func extended(h *devices.Health, v []byte) {
	b := binary.BigEndian
	for p := v; len(p) > 0; p = p[2+int(b.Uint16(p)):] {
		if len(p) < 4 || b.Uint16(p) < 2 || len(p) < 2+int(b.Uint16(p)) {
			return
		}
	}
	for p := v; len(p) > 0; p = p[2+int(b.Uint16(p)):] {
		value := p[4 : 2+int(b.Uint16(p))]
		switch b.Uint16(p[2:]) {
		case extendedState:
			if len(value) != 4 {
				continue
			}
			h.Strap = devices.StrapClosed
			if b.Uint32(value)&extendedRemoved == 0 {
				h.Strap = devices.StrapOpen
			}
		case extendedPercent, extendedPercentE1:
			if len(value) == 1 {
				setBattery(h, int(value[0]))
			}
		case extendedICCID:
			if len(value) == 10 {
				h.SIM = hex.EncodeToString(value)
			}
		}
	}
}
