package console

import (
	"encoding/json"

	"zhijiao/geofence"
)

// evidenceHistory is what a violation was decided on, from its opening on.
type evidenceHistory struct{ geofence.EvidenceHistory }

// historyOf reads the evidence of a violation. One that another version of the engine wrote otherwise is shown as it is
// stored, and says nothing here.
func historyOf(r *geofence.Recorded) evidenceHistory {
	var h evidenceHistory
	if json.Unmarshal(r.Evidence, &h.EvidenceHistory) != nil {
		return evidenceHistory{}
	}
	return h
}

// lastMark is the newest fix that it was decided on while it was open; nil when there was none.
func (h *evidenceHistory) lastMark() *geofence.Mark {
	for i := len(h.Amended) - 1; i >= 0; i-- {
		if n := len(h.Amended[i].Fixes); n > 0 {
			return &h.Amended[i].Fixes[n-1]
		}
	}
	if n := len(h.Opened.Fixes); n > 0 {
		return &h.Opened.Fixes[n-1]
	}
	return nil
}

// evidenceView is what opened the violation, with every fix it was ever decided on, and the whole history as it is stored.
type evidenceView struct {
	geofence.Evidence
	History json.RawMessage `json:"history"`
}

func viewEvidence(r *geofence.Recorded) evidenceView {
	h := historyOf(r)
	v := evidenceView{h.Opened, r.Evidence}
	type key struct{ device, boot, seq int64 }
	seen := map[key]bool{}
	var fixes []geofence.Mark
	take := func(list []geofence.Mark) {
		for _, m := range list {
			if k := (key{int64(m.Device), m.Boot, m.Seq}); !seen[k] {
				seen[k] = true
				fixes = append(fixes, m)
			}
		}
	}
	take(h.Opened.Fixes)
	for _, e := range h.Amended {
		take(e.Fixes)
	}
	if h.Closed != nil {
		take(h.Closed.Fixes)
	}
	v.Fixes = fixes
	return v
}
