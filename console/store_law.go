package console

import (
	"time"

	"zhijiao/devices"
	"zhijiao/supervision"
)

// seenFitting is what the wristband itself said since the person was told: that its strap is closed, its first satellite fix, and that it
// vibrated when it was asked to. A photo is what the form adds.
func (s *Server) seenFitting(r *request, proceeding int64, device string, given *supervision.Fitting) (*supervision.Fitting, error) {
	out := &supervision.Fitting{}
	if given != nil {
		out.Photo = given.Photo
	}
	err := s.Pool.QueryRow(r.Context(), `SELECT
			(SELECT h.observed_at FROM device_health h JOIN device d USING (device_id) WHERE d.serial = $2 AND h.strap = $3 AND h.observed_at >= (p.facts ->> 'informed_at')::timestamptz),
			(SELECT min(g.fix_at) FROM position_geom g JOIN device d USING (device_id) WHERE d.serial = $2 AND g.subject_id = p.subject_id AND g.method = $4
				AND g.fix_at >= (p.facts ->> 'informed_at')::timestamptz),
			(SELECT max(c.ended_at) FROM command c JOIN device d USING (device_id) WHERE d.serial = $2 AND c.kind = 'vibrate' AND c.state = 'done'
				AND c.ended_at >= (p.facts ->> 'informed_at')::timestamptz)
		FROM proceeding p WHERE proceeding_id = $1`, proceeding, device, int16(devices.StrapClosed), int16(devices.MethodGNSS)).Scan(&out.StrapClosedAt, &out.FixAt, &out.VibratedAt)
	for _, t := range []**time.Time{&out.StrapClosedAt, &out.FixAt, &out.VibratedAt} {
		if *t != nil {
			u := (*t).UTC()
			*t = &u
		}
	}
	return out, err
}
