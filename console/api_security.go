package console

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"zhijiao/internal/id"
	"zhijiao/supervision"
)

// listAccounts is every account of the scope, with the organisations and officers an account may be made for.
func (s *Server) listAccounts(w http.ResponseWriter, r *request) error {
	list, err := s.accounts(r.Context(), r.scope())
	if err != nil {
		return err
	}
	orgs, err := supervision.Orgs(r.Context(), s.Pool, r.scope())
	if err != nil {
		return err
	}
	officers, err := s.Supervision.Officers(r.Context(), r.scope())
	if err != nil {
		return err
	}
	type named struct {
		ID   int64  `json:"id"`
		Org  int64  `json:"org_id,omitempty"`
		Name string `json:"name"`
		Kind string `json:"kind"`
	}
	where, who := []named{}, []named{}
	for _, o := range orgs {
		where = append(where, named{int64(o.ID), int64(o.Parent), o.Name, string(o.Kind)})
	}
	for _, o := range officers {
		who = append(who, named{int64(o.ID), int64(o.Org), o.Name, string(o.Kind)})
	}
	p := r.session.policy
	writeJSON(w, http.StatusOK, map[string]any{"accounts": list, "orgs": where, "officers": who, "roles": Roles,
		"policy": map[string]any{"profile": p.Profile, "second_factor": p.SecondFactor, "version": p.Version}})
	return nil
}

func (s *Server) disableAccount(w http.ResponseWriter, r *request) error {
	return s.switchAccount(w, r, true)
}

func (s *Server) enableAccount(w http.ResponseWriter, r *request) error {
	return s.switchAccount(w, r, false)
}

func (s *Server) switchAccount(w http.ResponseWriter, r *request, disabled bool) error {
	n, ok := r.pathID("account")
	if !ok {
		return problem{http.StatusNotFound, "not_found", "", nil}
	}
	ended, err := s.setDisabled(r.Context(), r, id.Account(n), disabled)
	if err != nil {
		return err
	}
	for _, h := range ended {
		s.hub.dropSession(h)
	}
	return s.listAccounts(w, r)
}

// resetPassword answers with the new password: it is nowhere else.
func (s *Server) resetPassword(w http.ResponseWriter, r *request) error {
	n, ok := r.pathID("account")
	if !ok {
		return problem{http.StatusNotFound, "not_found", "", nil}
	}
	password, ended, err := s.resetAccount(r.Context(), r, id.Account(n))
	if err != nil {
		return err
	}
	for _, h := range ended {
		s.hub.dropSession(h)
	}
	writeJSON(w, http.StatusOK, map[string]string{"password": password})
	return nil
}

func (s *Server) listCountersigns(w http.ResponseWriter, r *request) error {
	list, err := s.countersigns(r.Context(), r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"countersigns": list})
	return nil
}

// askGrant asks for roles of an account, or for a new account.
func (s *Server) askGrant(w http.ResponseWriter, r *request) error {
	var in struct {
		grant
		Reason string `json:"reason"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := validRoles(in.Roles); err != nil {
		return err
	}
	if err := plainReason("reason", in.Reason); err != nil {
		return err
	}
	if in.Account == 0 && !accountName.MatchString(in.Name) {
		return problem{http.StatusUnprocessableEntity, "malformed", "name", nil}
	}
	if in.Account == r.session.account.ID {
		return problem{http.StatusUnprocessableEntity, "not_your_own", "account", nil}
	}
	if _, err := s.ask(r.Context(), r, signRoleGrant, in.grant, in.Reason); err != nil {
		return err
	}
	return s.listCountersigns(w, r)
}

// askPolicy asks for another policy about logins: stricter or laxer, it takes two.
func (s *Server) askPolicy(w http.ResponseWriter, r *request) error {
	var in struct {
		policyChange
		Reason string `json:"reason"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if in.Profile != Dengbao3 && in.Profile != ASVS {
		return problem{http.StatusUnprocessableEntity, "unknown", "profile", nil}
	}
	if err := plainReason("reason", in.Reason); err != nil {
		return err
	}
	if _, err := s.ask(r.Context(), r, signPolicy, in.policyChange, in.Reason); err != nil {
		return err
	}
	return s.listCountersigns(w, r)
}

// decideCountersign is the second person's word. A password that came of it is shown once.
func (s *Server) decideCountersign(w http.ResponseWriter, r *request) error {
	var in struct {
		Agree *bool `json:"agree"`
	}
	n, ok := r.pathID("countersign")
	if !ok {
		return problem{http.StatusNotFound, "not_found", "", nil}
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if in.Agree == nil {
		return problem{http.StatusUnprocessableEntity, "required", "agree", nil}
	}
	password, ended, err := s.agree(r.Context(), r, n, *in.Agree)
	if err != nil {
		return err
	}
	for _, h := range ended {
		s.hub.dropSession(h)
	}
	list, err := s.countersigns(r.Context(), r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"countersigns": list, "password": password})
	return nil
}

func (s *Server) listCover(w http.ResponseWriter, r *request) error {
	list, err := s.covers(r.Context(), r.scope())
	if err != nil {
		return err
	}
	accounts, err := s.accounts(r.Context(), r.scope())
	if err != nil {
		return err
	}
	who := []accountRef{}
	for _, a := range accounts {
		if a.DisabledAt == nil && slices.ContainsFunc(a.Roles, func(v string) bool { return slices.Contains(watch.roles, Role(v)) }) {
			name := a.Officer
			if name == "" {
				name = a.Name
			}
			who = append(who, accountRef{a.ID, name})
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"covers": list, "accounts": who})
	return nil
}

// grantCover has somebody look after another office's people until a time. It ends by itself.
func (s *Server) grantCover(w http.ResponseWriter, r *request) error {
	var in struct {
		Account id.Account `json:"account"`
		Org     id.Org     `json:"org"`
		From    time.Time  `json:"from"`
		Until   time.Time  `json:"until"`
		Reason  string     `json:"reason"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := plainReason("reason", in.Reason); err != nil {
		return err
	}
	if in.From.IsZero() {
		in.From = time.Now()
	}
	switch {
	case in.Account == r.session.account.ID:
		return problem{http.StatusUnprocessableEntity, "not_your_own", "account", nil}
	case !in.Until.After(in.From) || in.Until.Sub(in.From) > coverMost || !in.Until.After(time.Now()):
		return problem{http.StatusUnprocessableEntity, "out_of_range", "until", map[string]any{"most_days": int(coverMost / (24 * time.Hour))}}
	}
	if err := s.putCover(r.Context(), r, in.Account, in.Org, in.From, in.Until, in.Reason); err != nil {
		return err
	}
	return s.listCover(w, r)
}

func (s *Server) withdrawCover(w http.ResponseWriter, r *request) error {
	n, ok := r.pathID("cover")
	if !ok {
		return problem{http.StatusNotFound, "not_found", "", nil}
	}
	if err := s.endCover(r.Context(), r, n); err != nil {
		return err
	}
	return s.listCover(w, r)
}

// searchAudit is the ledger, newest first.
func (s *Server) searchAudit(w http.ResponseWriter, r *request) error {
	q := r.URL.Query()
	f := auditFilter{Kind: q.Get("kind")}
	for name, to := range map[string]*int64{"account": &f.Account, "before": &f.Before} {
		if v := q.Get(name); v != "" {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil || n <= 0 {
				return problem{http.StatusUnprocessableEntity, "malformed", name, nil}
			}
			*to = n
		}
	}
	for name, to := range map[string]*time.Time{"from": &f.From, "until": &f.Until} {
		if v := q.Get(name); v != "" {
			t, err := time.Parse(time.RFC3339, v)
			if err != nil {
				return problem{http.StatusUnprocessableEntity, "malformed", name, nil}
			}
			*to = t
		}
	}
	list, err := s.audit(r.Context(), &f)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"rows": list})
	return nil
}

// listAccess is who looked at whom.
func (s *Server) listAccess(w http.ResponseWriter, r *request) error {
	q := r.URL.Query()
	var subject, before int64
	for name, to := range map[string]*int64{"subject": &subject, "before": &before} {
		if v := q.Get(name); v != "" {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil || n <= 0 {
				return problem{http.StatusUnprocessableEntity, "malformed", name, nil}
			}
			*to = n
		}
	}
	list, err := s.accesses(r.Context(), r.scope(), id.Subject(subject), before)
	if err != nil {
		return err
	}
	labels, err := s.labels(r)
	if err != nil {
		return err
	}
	for i := range list {
		list[i].Subject.Label = labels[id.Subject(list[i].Subject.ID)]
	}
	writeJSON(w, http.StatusOK, map[string]any{"accesses": list})
	return nil
}
