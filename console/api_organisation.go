package console

import (
	"net/http"

	"zhijiao/internal/id"
	"zhijiao/supervision"
)

type nodeView struct {
	ID        int64               `json:"id"`
	Parent    int64               `json:"parent"` // 0: none
	Kind      supervision.OrgKind `json:"kind"`
	Name      string              `json:"name"`
	ShortName string              `json:"short_name"`
	Code      string              `json:"code"`
	Lon       *float64            `json:"lon"`
	Lat       *float64            `json:"lat"`
}

type officerView struct {
	ID           int64                   `json:"id"`
	Org          int64                   `json:"org"`
	Name         string                  `json:"name"`
	Kind         supervision.OfficerKind `json:"kind"`
	CountyHead   bool                    `json:"county_head"`
	JuvenileTeam bool                    `json:"juvenile_team"`
}

// organisation is the tree under who asks, and who works there.
func (s *Server) organisation(w http.ResponseWriter, r *request) error {
	orgs, err := supervision.Orgs(r.Context(), s.Pool, r.scope())
	if err != nil {
		return err
	}
	officers, err := s.Supervision.Officers(r.Context(), r.scope())
	if err != nil {
		return err
	}
	tree, staff := []nodeView{}, []officerView{}
	for _, o := range orgs {
		tree = append(tree, nodeView{int64(o.ID), int64(o.Parent), o.Kind, o.Name, o.ShortName, o.Code, o.Lon, o.Lat})
	}
	for _, o := range officers {
		staff = append(staff, officerView{int64(o.ID), int64(o.Org), o.Name, o.Kind, o.CountyHead, o.JuvenileTeam})
	}
	writeJSON(w, http.StatusOK, map[string]any{"orgs": tree, "officers": staff})
	return nil
}

// putOrg adds an organisation, or changes one. Who moves one decides who sees its people: it stays within their own, and their own stays where it is.
func (s *Server) putOrg(w http.ResponseWriter, r *request) error {
	var in nodeView
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := shortTexts(map[string]string{"name": in.Name, "short_name": in.ShortName, "code": in.Code}); err != nil {
		return err
	}
	if (in.Lon == nil) != (in.Lat == nil) || in.Lon != nil && (*in.Lon < -180 || *in.Lon > 180 || *in.Lat < -90 || *in.Lat > 90) {
		return problem{http.StatusUnprocessableEntity, "malformed", "lon", nil}
	}
	o := supervision.Org{ID: id.Org(in.ID), Parent: id.Org(in.Parent), Kind: in.Kind, Name: in.Name, ShortName: in.ShortName, Code: in.Code, Lon: in.Lon, Lat: in.Lat, By: r.session.account.ID}
	if _, err := s.Supervision.PutOrgWithin(r.Context(), r.scope(), o); err != nil {
		return err
	}
	return s.organisation(w, r)
}

// putOfficer adds a member of staff, or changes one, within the organisation of who asks.
func (s *Server) putOfficer(w http.ResponseWriter, r *request) error {
	var in officerView
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := shortTexts(map[string]string{"name": in.Name}); err != nil {
		return err
	}
	o := supervision.Officer{ID: id.Officer(in.ID), Org: id.Org(in.Org), Name: in.Name, Kind: in.Kind, CountyHead: in.CountyHead, JuvenileTeam: in.JuvenileTeam, By: r.session.account.ID}
	if _, err := s.Supervision.PutOfficerWithin(r.Context(), r.scope(), o); err != nil {
		return err
	}
	return s.organisation(w, r)
}

// shortTexts refuses what is no name: longer than one, or with what cannot be shown.
func shortTexts(fields map[string]string) error {
	for field, text := range fields {
		if len([]rune(text)) > 100 {
			return problem{http.StatusUnprocessableEntity, "too_long", field, nil}
		}
		if err := texts(field, text); err != nil {
			return err
		}
	}
	return nil
}
