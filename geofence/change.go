package geofence

import (
	"encoding/json"
	"fmt"
	"slices"
)

// What-if: facts with a change that was not made. Each changes facts that were read for a trial and belong to nobody else.

// CheckParams says what is wrong with thresholds that are to be laid over those of rules of a kind.
func CheckParams(k RuleKind, doc []byte) error {
	if kinds[k] == nil {
		return fmt.Errorf("%q is no kind of rule", k)
	}
	_, err := ParseParams(k, doc)
	return err
}

// ChangeParams lays thresholds over those of every rule of a kind; what it does not name stays.
func (f *Facts) ChangeParams(k RuleKind, doc []byte) {
	if len(doc) == 0 {
		return
	}
	f.Rules = slices.Clone(f.Rules)
	for i := range f.Rules {
		var j paramsJSON
		if r := &f.Rules[i]; r.Kind == k && json.Unmarshal(doc, &j) == nil {
			_ = j.over(&r.Params) // CheckParams has seen it
		}
	}
}

// DropRules takes the rules of a kind away.
func (f *Facts) DropRules(k RuleKind) {
	f.Rules = slices.DeleteFunc(slices.Clone(f.Rules), func(r Rule) bool { return r.Kind == k })
}

// AddRule adds a rule of a kind, in force at all times. A zone the subject has no other rule about is not known here.
func (f *Facts) AddRule(k RuleKind, z ZoneID, basis string, p Params) {
	last := RuleID(0)
	for i := range f.Rules {
		last = max(last, f.Rules[i].ID)
	}
	f.Rules = append(slices.Clone(f.Rules), Rule{ID: last + 1, Version: 1, Subject: f.Subject, Kind: k, Zone: z, Basis: basis, Params: p})
}

// ReplaceZone has a zone be another one, at all times.
func (f *Facts) ReplaceZone(z *Zone) {
	if _, ok := f.Zones[z.ID]; ok {
		f.Zones[z.ID] = []*Zone{z}
	}
}
