package console

import (
	"net/http"
	"time"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/id"
)

// deviceView is how a device in use is. Fields that are not known are absent or null.
type deviceView struct {
	ID         int64                    `json:"id"`
	Serial     string                   `json:"serial"`
	Class      string                   `json:"class"`
	Model      string                   `json:"model"`
	Subject    *subjectRef              `json:"subject"` // who it is bound to; null: nobody
	EverySec   int64                    `json:"every_s"`
	HeardAt    *time.Time               `json:"heard_at"`
	Battery    *int                     `json:"battery"` // per cent
	Charging   *bool                    `json:"charging"`
	Strap      devices.Strap            `json:"strap"`
	Signal     *int                     `json:"signal_dbm"`
	Operator   string                   `json:"operator,omitempty"`
	SkewMS     *int64                   `json:"skew_ms"`
	Missing    int64                    `json:"missing"`
	Lost       int64                    `json:"lost"`
	Conflicts  int64                    `json:"conflicts"`
	LostFrom   *time.Time               `json:"lost_from"`
	Enrolment  string                   `json:"enrolment"` // enrolled, coded (a one-time code waits), none
	DiesAt     *time.Time               `json:"dies_at"`
	PerHour    float64                  `json:"per_hour,omitempty"` // per cent of battery an hour, where it dies soon
	Concerns   []geofence.DeviceConcern `json:"concerns"`
	BoundSince *time.Time               `json:"bound_since"`
}

// concernCount is how many devices have a concern.
type concernCount struct {
	Concern geofence.DeviceConcern `json:"concern"`
	N       int                    `json:"n"`
}

// listDevices is the health of the devices of those the caller sees: every one that somebody should look at, the worst first, and how
// many there are in all.
func (s *Server) listDevices(w http.ResponseWriter, r *request) error {
	ctx, scope := r.Context(), r.scope()
	list, err := geofence.ListDeviceHealth(ctx, s.Reads, scope, s.Clock.Now())
	if err != nil {
		return err
	}
	people, err := s.Supervision.Subjects(ctx, s.Reads, scope)
	if err != nil {
		return err
	}
	labels := map[id.Subject]string{}
	for i := range people {
		labels[people[i].ID] = people[i].Label()
	}
	counts := map[geofence.DeviceConcern]int{}
	out := []deviceView{}
	for i := range list {
		d := &list[i]
		for _, c := range d.Concerns {
			counts[c]++
		}
		out = append(out, viewOfDevice(d, labels))
	}
	concerns := []concernCount{}
	for _, c := range geofence.DeviceConcerns() {
		concerns = append(concerns, concernCount{c, counts[c]})
	}
	writeJSON(w, http.StatusOK, map[string]any{"devices": out, "concerns": concerns})
	return nil
}

func viewOfDevice(d *geofence.DeviceHealth, labels map[id.Subject]string) deviceView {
	v := deviceView{
		ID: int64(d.ID), Serial: string(d.Serial), Class: string(d.Class), Model: d.Model, EverySec: int64(d.Every / time.Second), HeardAt: instant(d.HeardAt),
		Battery: d.Battery, Charging: d.Charging, Strap: d.Strap, Signal: d.Signal, Operator: d.Operator, Missing: d.Missing, Lost: d.Lost,
		Conflicts: d.Conflicts, LostFrom: instant(d.LostFrom), Enrolment: "none", Concerns: d.Concerns, BoundSince: instant(d.BoundSince),
	}
	if d.Subject != 0 {
		v.Subject = &subjectRef{int64(d.Subject), labels[d.Subject]}
	}
	if d.Skew != nil {
		ms := d.Skew.Milliseconds()
		v.SkewMS = &ms
	}
	if d.Dies != nil {
		v.DiesAt, v.PerHour = instant(d.Dies.Dead), d.Dies.PerHour
	}
	switch {
	case d.Secrets > 0:
		v.Enrolment = "enrolled"
	case d.Coded:
		v.Enrolment = "coded"
	}
	return v
}
