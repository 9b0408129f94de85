package simulate

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Deed names something that goes wrong: what somebody does, or what befalls a device, that somebody should be told of.
type Deed string

const (
	LeaveCity         Deed = "leave_city"
	CommuteOver       Deed = "commute_over"
	LeaveUnheard      Deed = "leave_unheard"
	LeaveWithoutPhone Deed = "leave_without_phone"
	EnterKeepOut      Deed = "enter_keep_out"
	PassKeepOut       Deed = "pass_keep_out"
	FallSilent        Deed = "fall_silent"
	BatteryDies       Deed = "battery_dies"
	PowerOut          Deed = "power_out"
	DeadZone          Deed = "dead_zone"
	LoseLocation      Deed = "lose_location"
	OpenStrap         Deed = "open_strap"
	PhoneAtHome       Deed = "phone_at_home"
	NightOut          Deed = "night_out"
	MissOffice        Deed = "miss_office"
	Meet              Deed = "meet"
	Gather            Deed = "gather"
	Dwell             Deed = "dwell"
	AreaOutage        Deed = "area_outage"
)

// carrier is whose deed it can be.
type carrier int

const (
	anyone  carrier = iota
	dense           // who wears a wristband
	phoned          // who carries a phone and no wristband
	both            // who wears a wristband and carries a phone
	nobody          // an area
	dweller         // who must be home at night
	caller          // who must be at the office on Mondays
	banned          // whom a court bans from the demo's circle
)

// deed is everything the world knows about a Deed. Adding one is an entry here, its effects, and its reading.
type deed struct {
	name Deed
	kind string // what the platform calls it: the kind of violation it makes
	who  carrier
	// hours of the local day between which it begins, and how long it lasts at least and at most.
	from, until       float64
	shortest, longest time.Duration
	phone             time.Duration // added for those with phones, who speak three times a day
	monday            bool          // on Mondays only
	last              bool          // nothing of this person can be told any more afterwards
	others            int           // how many more take part
	says              string
	read              func(*reading) // whether what was sent shows it
}

// deeds is the table of them; the order is that of the help text.
var deeds = []deed{
	{name: LeaveCity, kind: "left_zone", from: 7, until: 15, shortest: 90 * time.Minute, longest: 3 * time.Hour, phone: 3 * time.Hour,
		says: "go away over the city boundary", read: readLeft},
	{name: CommuteOver, kind: "left_zone", from: 7, until: 8, shortest: 9 * time.Hour, longest: 10 * time.Hour,
		says: "work beyond the boundary, for a reason that was approved and not entered", read: readLeft},
	{name: LeaveUnheard, kind: "left_zone", who: dense, from: 8, until: 14, shortest: 2 * time.Hour, longest: 3 * time.Hour,
		says: "go away with a device that has no network until hours later", read: readLeft},
	{name: LeaveWithoutPhone, kind: "left_zone", who: phoned, from: 7, until: 13, shortest: 4 * time.Hour, longest: 6 * time.Hour,
		says: "go away and leave the phone at home", read: readLeft},
	{name: EnterKeepOut, kind: "entered_zone", who: banned, from: 9, until: 17, shortest: 40 * time.Minute, longest: 80 * time.Minute, phone: 2 * time.Hour,
		says: "enter the prohibited circle", read: readEntered},
	{name: PassKeepOut, kind: "passed_through", who: banned, from: 9, until: 17, shortest: 20 * time.Minute, longest: 40 * time.Minute,
		says: "drive through the prohibited circle", read: readPassed},
	{name: FallSilent, kind: "device_silent", who: dense, from: 0, until: 20, shortest: time.Hour, longest: 3 * time.Hour,
		says: "a wristband that is switched off and says nothing", read: readSilent},
	{name: BatteryDies, kind: "device_silent", who: dense, from: 6, until: 20, shortest: time.Hour, longest: 3 * time.Hour,
		says: "a battery that runs out, without a last word", read: readSilent},
	{name: PowerOut, kind: "power_lost", who: dense, from: 6, until: 20, shortest: time.Hour, longest: 3 * time.Hour,
		says: "a battery that runs out, with a last word", read: readGasp},
	{name: DeadZone, kind: "device_silent", who: dense, from: 0, until: 18, shortest: time.Hour, longest: 5 * time.Hour,
		says: "no network for hours, then all that was kept, in order", read: readSilent},
	{name: LoseLocation, kind: "location_lost", who: dense, from: 6, until: 18, shortest: 90 * time.Minute, longest: 3 * time.Hour,
		says: "a wristband that speaks and does not know where it is", read: readLost},
	{name: OpenStrap, kind: "strap_opened", who: dense, from: 8, until: 20, shortest: 30 * time.Minute, longest: 3 * time.Hour, last: true,
		says: "open the strap, and close it again hours later", read: readStrap},
	{name: PhoneAtHome, kind: "separated", who: both, from: 7, until: 9, shortest: 7 * time.Hour, longest: 9 * time.Hour,
		says: "go out with the wristband and leave the phone at home", read: readSeparated},
	{name: NightOut, kind: "absent", who: dweller, from: 22.3, until: 23.5, shortest: 90 * time.Minute, longest: 4 * time.Hour,
		says: "be out at night, against an order to be home", read: readNightOut},
	{name: MissOffice, kind: "absent", who: caller, from: 9, until: 9, shortest: 2 * time.Hour, longest: 2 * time.Hour, monday: true,
		says: "not be at the office on Monday morning, against an order", read: readMissed},
	{name: Meet, kind: "near", who: dense, from: 10, until: 16, shortest: 40 * time.Minute, longest: 90 * time.Minute, others: 1,
		says: "meet somebody whom a court forbids to be met", read: readMet},
	{name: Gather, kind: "gathered", who: dense, from: 10, until: 16, shortest: time.Hour, longest: 2 * time.Hour, others: gathered - 1,
		says: "be many in one place", read: readMet},
	{name: Dwell, kind: "dwelt", who: dense, from: 9, until: 13, shortest: 3 * time.Hour, longest: 5 * time.Hour,
		says: "stay long at a place of concern", read: readDwelt},
	{name: AreaOutage, kind: "area_outage", who: nobody, from: 8, until: 18, shortest: time.Hour, longest: 2 * time.Hour,
		says: "an operator's network away for all its devices; most come back with all they kept", read: readOutage},
}

// gathered is how many people make a gathering.
const gathered = 4

// Gathered is how many people make a gathering, for the rule.
const Gathered = gathered

func (d Deed) entry() *deed {
	for i := range deeds {
		if deeds[i].name == d {
			return &deeds[i]
		}
	}
	return nil
}

// Kind is what the platform calls a deed.
func (d Deed) Kind() string {
	if e := d.entry(); e != nil {
		return e.kind
	}
	return ""
}

// Quirk names what a device or a life does that is nobody's fault and must make no alert.
type Quirk string

const (
	CommuteNear Quirk = "commute_near"
	Jumps       Quirk = "jumps"
	Coarse      Quirk = "coarse"
	Duplicates  Quirk = "duplicates"
	Skew        Quirk = "skew"
	Gaps        Quirk = "gaps"
)

var quirks = []struct {
	name Quirk
	says string
}{
	{CommuteNear, "work 250 to 600 m inside the boundary"},
	{Jumps, "single over-confident fixes 200 m out, one every few hours"},
	{Coarse, "devices that mostly know Wi-Fi and cells"},
	{Duplicates, "devices that send again what they sent before"},
	{Skew, "device clocks minutes off; one in eight of them too far to be trusted"},
	{Gaps, "networks away for up to 25 minutes, and all that was kept at once"},
}

// Behaviours are what a world may be told to have in it.
type Behaviours struct {
	Deeds  []Deed
	Quirks []Quirk
}

// AllBehaviours is everything there is.
func AllBehaviours() (b Behaviours) {
	for i := range deeds {
		b.Deeds = append(b.Deeds, deeds[i].name)
	}
	for _, q := range quirks {
		b.Quirks = append(b.Quirks, q.name)
	}
	return b
}

// ParseBehaviours reads a list of words; all and none are words too, and a word after a minus is taken out again. An unknown
// one is refused.
func ParseBehaviours(list string) (Behaviours, error) {
	var b Behaviours
	for _, word := range strings.Split(list, ",") {
		word, less := strings.CutPrefix(strings.TrimSpace(word), "-")
		var some Behaviours
		d, q := Deed(word), Quirk(word)
		switch {
		case word == "" || word == "none":
			continue
		case word == "all":
			some = AllBehaviours()
		case d.entry() != nil:
			some.Deeds = []Deed{d}
		case slices.ContainsFunc(quirks, func(x struct {
			name Quirk
			says string
		}) bool {
			return x.name == q
		}):
			some.Quirks = []Quirk{q}
		default:
			return b, fmt.Errorf("there is no behaviour %q; there are %s", word, strings.Join(words(), ", "))
		}
		b.Deeds = slices.DeleteFunc(b.Deeds, func(d Deed) bool { return slices.Contains(some.Deeds, d) })
		b.Quirks = slices.DeleteFunc(b.Quirks, func(q Quirk) bool { return slices.Contains(some.Quirks, q) })
		if !less {
			b.Deeds, b.Quirks = append(b.Deeds, some.Deeds...), append(b.Quirks, some.Quirks...)
		}
	}
	return b, nil
}

func words() (all []string) {
	b := AllBehaviours()
	for _, d := range b.Deeds {
		all = append(all, string(d))
	}
	for _, q := range b.Quirks {
		all = append(all, string(q))
	}
	return all
}

// DescribeBehaviours is the help text of them, a line each.
func DescribeBehaviours() string {
	var b strings.Builder
	for i := range deeds {
		fmt.Fprintf(&b, "  %-20s %s (%s)\n", deeds[i].name, deeds[i].says, deeds[i].kind)
	}
	for _, q := range quirks {
		fmt.Fprintf(&b, "  %-20s %s\n", q.name, q.says)
	}
	return b.String()
}
