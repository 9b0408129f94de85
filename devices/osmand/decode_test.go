package osmand

import (
	"fmt"
	"math"
	"net/url"
	"testing"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/crypto"
)

func brief(m Message, f *devices.Fault) string {
	if f != nil {
		return fmt.Sprintf("%s: %s %s", m.ID, f.Reason, f.Field)
	}
	out := m.ID
	if m.Forwarded {
		out += " forwarded"
	}
	for _, r := range m.Readings {
		out += " " + r.At.Format("01-02T15:04:05.999")
		if r.Placed {
			out += fmt.Sprintf(" %.4f,%.4f ±%.0f %.2fm/s %v", r.Lon, r.Lat, r.Accuracy, r.Speed, r.Satellite)
		}
		if r.Satellites >= 0 {
			out += fmt.Sprintf(" sats %d", r.Satellites)
		}
		if h := r.Health; h.Battery != nil {
			out += fmt.Sprintf(" battery %d", *h.Battery)
		}
		if h := r.Health; h.Charging != nil {
			out += fmt.Sprintf(" charging %v", *h.Charging)
		}
		if h := r.Health; h.Cell != "" {
			out += " cell " + h.Cell
		}
		if h := r.Health; h.Signal != nil {
			out += fmt.Sprintf(" signal %d", *h.Signal)
		}
		if h := r.Health; h.Strap != devices.StrapUnknown {
			out += " strap " + h.Strap.String()
		}
		if h := r.Health; h.LastGasp != "" {
			out += " " + h.LastGasp
		}
	}
	for _, f := range m.Faults {
		out += fmt.Sprintf(" (%s %s)", f.Reason, f.Field)
	}
	return out
}

func TestDecodeForm(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"id=7&lat=30.65&lon=113.16&timestamp=1795492800":                                              "7 11-24T04:00:00 113.1600,30.6500 ±0 -1.00m/s false",
		"deviceid=7&lat=30.65&lon=113.16&timestamp=1795492800123&accuracy=8&speed=10&batt=74.6":       "7 11-24T04:00:00.123 113.1600,30.6500 ±8 5.14m/s false battery 75",
		"id=7&location=30.65,113.16&timestamp=2026-11-24T12:00:00%2B08:00&hdop=0.8&charge=true&sat=9": "7 11-24T04:00:00 113.1600,30.6500 ±5 -1.00m/s true sats 9 charging true",
		"id=7&lat=30.65&lon=113.16&timestamp=1795492800&hdop=3":                                       "7 11-24T04:00:00 113.1600,30.6500 ±15 -1.00m/s true",
		"id=7&lat=30.65&lon=113.16&timestamp=1795492800&valid=false&batt=5":                           "7 11-24T04:00:00 battery 5",
		"id=7&lat=0&lon=0&timestamp=1795492800&batt=5":                                                "7 11-24T04:00:00 battery 5",
		"id=7&timestamp=1795492800&cell=460,0,9346,21532,-85":                                         "7 11-24T04:00:00 cell 460-0-9346-21532 signal -85",
		"id=7&lat=30.65&lon=113.16&timestamp=1795492800&batt=null&charge=null&alarm=null&speed=0":     "7 11-24T04:00:00 113.1600,30.6500 ±0 0.00m/s false",
		"id=7&lat=30.65&lon=113.16&timestamp=1795492800&speed=-1&accuracy=-1&batt=-1":                 "7 11-24T04:00:00 113.1600,30.6500 ±0 -1.00m/s false",
		"id=7&lat=30.65&lon=113.16&timestamp=1795492800&speed=1200":                                   "7 11-24T04:00:00 113.1600,30.6500 ±0 -1.00m/s false",
		"id=7&lat=30.65&lon=113.16&timestamp=1795492800&mock=true&batt=5":                             "7 11-24T04:00:00 battery 5",
		"id=7&timestamp=1795492800&alarm=lowBattery,powerOff":                                         "7 11-24T04:00:00 battery 10 power_off",
		"id=7&timestamp=1795492800&alarm=geofenceExit":                                                "7: missing_field lat",
		"id=7&lat=30.65&lon=113.16&timestamp=1795492800&speed=fast":                                   "7: wrong_type speed",
		"id=7&lat=0&lon=0&timestamp=1795492800":                                                       "7: missing_field lat",
		"lat=30.65&lon=113.16&timestamp=1795492800":                                                   ": missing_field id",
		"id=7&lat=30.65&lon=113.16":                                                                   "7: missing_field timestamp",
		"id=7&lat=30.65&lon=113.16&timestamp=2026-11-24 12:00:00":                                     "7: time_without_zone timestamp",
		"id=7&lat=30.65&lon=113.16&timestamp=yesterday":                                               "7: wrong_type timestamp",
		"id=7&lat=30.65&lon=113.16&timestamp=-5":                                                      "7: out_of_range timestamp",
		"id=7&lat=90.65&lon=113.16&timestamp=1795492800":                                              "7: out_of_range lat",
		"id=7&lat=30.65&lon=NaN&timestamp=1795492800":                                                 "7: out_of_range lon",
		"id=7&lat=30.65&timestamp=1795492800":                                                         "7: missing_field lon",
		"id=7&lat=30.65&lon=113.16&timestamp=1795492800&batt=101":                                     "7: out_of_range batt",
		"id=7&lat=30.65&lon=113.16&timestamp=1795492800&valid=maybe":                                  "7: wrong_type valid",
	} {
		v, err := url.ParseQuery(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := brief(DecodeForm(v)); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}

func TestDecodeJSON(t *testing.T) {
	t.Parallel()
	const coords = `"coords":{"latitude":30.65,"longitude":113.16,"accuracy":8,"speed":1.5,"heading":0,"altitude":30}`
	for in, want := range map[string]string{
		`{"location":{"timestamp":"2026-11-24T04:00:00.000Z",` + coords + `,"is_moving":true,"event":"motionchange","battery":{"level":0.74,"is_charging":false},"extras":{}},"device_id":"7"}`:                                                                                                                                                                                                                                             "7 11-24T04:00:00 113.1600,30.6500 ±8 1.50m/s false battery 74 charging false",
		`{"device_id":"7","location":[{"timestamp":1795492800000,` + coords + `},{"timestamp":"2026-11-24T04:01:00Z","coords":{"latitude":0,"longitude":0},"battery":{"level":-1,"is_charging":true}}]}`:                                                                                                                                                                                                                                    "7 11-24T04:00:00 113.1600,30.6500 ±8 1.50m/s false 11-24T04:01:00 charging true",
		`{"position":{"fixTime":"2026-11-24T04:00:00.000+00:00","valid":true,"latitude":30.65,"longitude":113.16,"speed":10,"accuracy":0,"attributes":{"batteryLevel":74,"charge":true,"sat":9,"hdop":1.2}},"device":{"id":1,"uniqueId":"8613"}}`:                                                                                                                                                                                           "8613 forwarded 11-24T04:00:00 113.1600,30.6500 ±6 5.14m/s true sats 9 battery 74 charging true",
		`{"position":{"fixTime":"2026-11-24T04:00:00Z","valid":false,"latitude":30.65,"longitude":113.16,"attributes":{"batteryLevel":74}},"device":{"uniqueId":"8613"}}`:                                                                                                                                                                                                                                                                   "8613 forwarded 11-24T04:00:00 battery 74",
		`{"position":{"fixTime":"2026-11-24T04:00:00Z","latitude":30.65,"attributes":{}},"device":{"uniqueId":"8613"}}`:                                                                                                                                                                                                                                                                                                                     "8613: missing_field position.longitude",
		`{"position":{"fixTime":"2026-11-24T04:00:00.000+0000","deviceTime":"2026-11-24T04:00:01.000+0000","valid":true,"latitude":30.65,"longitude":113.16,"speed":1500,"accuracy":12,"attributes":{"alarm":"removing,lowBattery","sat":"many","batteryLevel":86.4},"network":{"cellTowers":[{"cellId":4321,"locationAreaCode":28730,"mobileCountryCode":460,"mobileNetworkCode":0,"signalStrength":-71}]}},"device":{"uniqueId":"8613"}}`: "8613 forwarded 11-24T04:00:00 113.1600,30.6500 ±12 -1.00m/s false battery 86 cell 460-0-28730-4321 signal -71 strap open",
		`{"position":{"fixTime":"2026-11-24T03:00:00Z","deviceTime":"2026-11-24T04:00:00Z","outdated":true,"valid":true,"latitude":30.65,"longitude":113.16,"attributes":{"alarm":"tampering","batteryLevel":86}},"device":{"uniqueId":"8613"}}`:                                                                                                                                                                                            "8613 forwarded 11-24T04:00:00 battery 86 strap case_open",
		`{"position":{"fixTime":"2026-11-24T03:00:00Z","latitude":"30.65","longitude":113.16},"device":{"uniqueId":"8613"}}`:                                                                                                                                                                                                                                                                                                                "8613: wrong_type position.latitude",
		`{"position":{"fixTime":"2026-11-24T03:00:00Z","latitude":30.65,"longitude":113.16,"attributes":null},"device":{"uniqueId":"8613"}}`:                                                                                                                                                                                                                                                                                                "8613 forwarded 11-24T03:00:00 113.1600,30.6500 ±0 -1.00m/s false",
		`{"device_id":"7","location":{"timestamp":"2026-11-24T04:00:00Z","mock":true,` + coords + `,"battery":{"level":0.5}}}`:                                                                                                                                                                                                                                                                                                              "7 11-24T04:00:00 battery 50",
		`{"device_id":"7","location":[{"timestamp":"2026-11-24T04:00:00Z","coords":{"latitude":"x"}},{"timestamp":"2026-11-24T04:00:00Z",` + coords + `},{}]}`:                                                                                                                                                                                                                                                                              "7 11-24T04:00:00 113.1600,30.6500 ±8 1.50m/s false (wrong_type location.coords.latitude) (missing_field location.timestamp)",
		`{"device":{"uniqueId":"8613"}}`:           "8613: missing_field position",
		`{"device":{"uniqueId":""},"position":{}}`: ": missing_field device.uniqueId",
		`{"device_id":"7"}`:                        "7: missing_field location",
		`{"device_id":"7","location":[]}`:          "7: oversized location",
		`{"device_id":"7","location":"x"}`:         "7: wrong_type location",
		`{"device_id":"7","location":{"timestamp":"2026-11-24T04:00:00Z","coords":{"latitude":30.65,"longitude":213.16}}}`: "7: out_of_range location.coords.longitude",
		`{"device_id":"7","location":{"coords":{"latitude":30.65,"longitude":113.16}}}`:                                    "7: missing_field location.timestamp",
		`{"device_id":7}`: ": missing_field device_id",
		`[]`:              ": malformed ",
		`{`:               ": malformed ",
	} {
		if got := brief(DecodeJSON([]byte(in))); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}

// TestReportIsWhatWeRead: what is made of a message our own decoder takes, in the datum of its model.
func TestReportIsWhatWeRead_R45(t *testing.T) {
	t.Parallel()
	for _, d := range []devices.Datum{devices.WGS84, devices.GCJ02, devices.BD09} {
		lon, lat := devices.FromWGS84(d, 113.16, 30.65)
		m := Message{Readings: []Reading{{At: time.Unix(1795492800, 0).UTC(), Placed: true, Lon: lon, Lat: lat, Accuracy: 8, Speed: -1, Satellites: -1}}}
		list := m.reports("osmand-7", d, time.Unix(1795492801, 0))
		if len(list) != 1 || list[0].Observations[0].Kind != devices.KindFix || !list[0].Sent.IsZero() {
			t.Fatalf("%+v", list)
		}
		payload, err := devices.AppendJSON(nil, list[0])
		if err != nil {
			t.Fatal(err)
		}
		got := devices.DecodeJSON(devices.Raw{Serial: "osmand-7", Kind: devices.KindFix, Payload: payload, ReceivedAt: time.Unix(1795492801, 0)}, devices.DecodeOptions{Key: crypto.Random().Digest(), Future: time.Hour})
		if len(got.Observations) != 1 {
			t.Fatalf("%s: %+v", payload, got.Faults)
		}
		p := got.Observations[0].Place
		if metres := math.Hypot((p.Lon-113.16)*96_000, (p.Lat-30.65)*111_000); metres > 3 || p.Datum != d {
			t.Errorf("%v: %.2f m beside, datum %v", d, metres, p.Datum)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("id=7&lat=30.65&lon=113.16&timestamp=1795492800&hdop=1&batt=5&cell=1,2,3,4,-5")
	f.Add(`{"location":{"timestamp":"2026-11-24T04:00:00.000Z","coords":{"latitude":30.65,"longitude":113.16}},"device_id":"7"}`)
	f.Add(`{"position":{"fixTime":"2026-11-24T04:00:00Z","latitude":1,"longitude":2,"attributes":{}},"device":{"uniqueId":"8"}}`)
	f.Fuzz(func(t *testing.T, in string) {
		for _, decode := range []func() (Message, *devices.Fault){
			func() (Message, *devices.Fault) { return DecodeJSON([]byte(in)) },
			func() (Message, *devices.Fault) {
				v, err := url.ParseQuery(in)
				if err != nil {
					return Message{}, fault(devices.Malformed, "", "")
				}
				return DecodeForm(v)
			},
		} {
			m, fault := decode()
			if fault != nil {
				continue
			}
			if len(m.Readings) == 0 {
				t.Fatal("neither a reading nor a fault")
			}
			taken := 0
			for _, r := range m.reports("osmand-7", devices.GCJ02, time.Unix(1795492801, 0)) {
				payload, err := devices.AppendJSON(nil, r)
				if err != nil {
					t.Fatalf("what was taken cannot be published: %v", err)
				}
				kind := r.Observations[0].Kind
				got := devices.DecodeJSON(devices.Raw{Serial: "osmand-7", Kind: kind, Payload: payload, ReceivedAt: time.Unix(1795492801, 0)}, devices.DecodeOptions{Key: fuzzKey})
				for _, f := range got.Faults { // ingest may not like the time; all else was judged here, before 200 was said
					if f.Field != "at" && f.Field != "sent" && f.Field != "lon" {
						t.Fatalf("%s: refused after 200: %v", payload, f.Fault)
					}
				}
				for _, o := range got.Observations {
					if p := o.Place; p != nil && (p.Lon == 0 && p.Lat == 0 || math.Abs(p.Lon) > 180 || math.Abs(p.Lat) > 90) {
						t.Fatalf("%+v is no place", p)
					}
				}
				taken += len(r.Observations)
			}
			if taken != len(m.Readings) {
				t.Fatalf("%d readings, %d observations", len(m.Readings), taken)
			}
		}
	})
}

var fuzzKey = crypto.Random().Digest()

// R38: what is timed later than now was sent later than that, by the tracker's clock; payloads are cut where the kind changes and at 32.
func TestReports_R38(t *testing.T) {
	t.Parallel()
	now := time.Unix(1795492800, 0).UTC()
	five := 5
	m := Message{}
	for i := range 70 {
		m.Readings = append(m.Readings, Reading{At: now.Add(time.Duration(i-69) * time.Second), Placed: i != 3, Lon: 113, Lat: 30, Speed: -1, Satellites: -1, Health: devices.Health{Battery: &five}})
	}
	m.Readings[69].At = now.Add(time.Minute)
	list := m.reports("osmand-7", devices.WGS84, now)
	var sizes []string
	for _, r := range list {
		sizes = append(sizes, fmt.Sprint(r.Observations[0].Kind, len(r.Observations), r.Sent.Equal(now.Add(time.Minute))))
	}
	if got := fmt.Sprint(sizes); got != "[fix3 false status1 false fix32 false fix32 false fix2 true]" {
		t.Error(got)
	}
}
