package console

import (
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"zhijiao/internal/crypto"
)

// stepUpFor is how long after proving who they are somebody may change another's liberty without doing so again.
const stepUpFor = 15 * time.Minute

// proven refuses a session that has not proved enough for a route.
func (s *Server) proven(r *request, freshly bool) error {
	v := &r.session
	switch {
	case v.mustChange:
		return problem{http.StatusForbidden, "password_to_change", "", nil}
	case v.policy.SecondFactor && v.factor == factorPassword:
		return problem{http.StatusForbidden, "second_factor_needed", "", map[string]any{"enrolled": v.account.TOTP}}
	case freshly && v.stepped > stepUpFor:
		by := "password"
		switch {
		case v.factor == factorSSO && !v.account.TOTP:
			by = factorSSO
		case v.account.TOTP:
			by = factorTOTP
		}
		return problem{http.StatusForbidden, "step_up", "", map[string]any{"by": by}}
	}
	return nil
}

// again checks who sits there once more: by code where the account has one, else by password. A failure counts as a failed login.
func (s *Server) again(r *request, password, code string) (c candidate, step int64, err error) {
	ctx, name, client := r.Context(), r.session.account.Name, r.client()
	wait, err := s.locked(ctx, name, client)
	if err != nil {
		return c, 0, err
	}
	if wait > 0 {
		return c, 0, problem{http.StatusTooManyRequests, "too_many_logins", "", map[string]any{"retry_after_s": int(wait/time.Second) + 1}}
	}
	if r.session.account.TOTP && password == "" {
		if c, err = s.candidate(ctx, name); err == nil {
			var secret string
			if secret, err = s.openTOTP(r.session.account.totpContext(), c.totp); err == nil {
				if step = totpStep(secret, code, time.Now(), c.totpStep); step == 0 {
					err = errRefused
				}
			}
		}
	} else {
		c, _, err = s.checkLogin(ctx, name, password)
	}
	if errors.Is(err, errRefused) {
		if err := s.loginFailed(ctx, c, name, client); err != nil {
			return c, 0, err
		}
		return c, 0, problem{http.StatusForbidden, "not_you", "", nil}
	}
	return c, step, err
}

// stepUp proves who sits there once more.
func (s *Server) stepUp(w http.ResponseWriter, r *request) error {
	var in struct {
		Password string `json:"password"`
		Code     string `json:"code"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if r.session.account.TOTP {
		in.Password = "" // a password alone is not enough where there is more
	}
	_, step, err := s.again(r, in.Password, in.Code)
	if err != nil {
		return err
	}
	if err := s.stepped(r.Context(), &r.session, step, r.client()); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]bool{"ok": true})
	return nil
}

// changePassword gives the account a password its owner chose. Every other session of it ends, and this one gets a new token.
func (s *Server) changePassword(w http.ResponseWriter, r *request) error {
	var in struct {
		Old string `json:"old"`
		New string `json:"new"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if in.Old == "" {
		return problem{http.StatusUnprocessableEntity, "required", "old", nil}
	}
	c, _, err := s.again(r, in.Old, "")
	if err != nil {
		return err
	}
	if err := r.session.policy.check(in.New, r.session.account.Name, r.session.account.DisplayName); err != nil {
		return err
	}
	if err := s.putPassword(r.Context(), &r.session, c, in.New); err != nil {
		return err
	}
	return s.enter(w, r, c, r.session.account.Name, r.session.factor, 0, "")
}

// offerTOTP makes a secret that becomes the account's when a code of it comes back. It is kept by the browser, sealed, until then.
func (s *Server) offerTOTP(w http.ResponseWriter, r *request) error {
	a := &r.session.account
	if a.TOTP { // who has one replaces it only after proving it once more
		if err := s.proven(r, true); err != nil {
			return err
		}
	}
	key, err := newTOTP(a.Name)
	if err != nil {
		return err
	}
	offer, err := s.sealTOTP(a.offerContext(), key.Secret())
	if err != nil {
		return err
	}
	img, err := picture(key)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]string{"secret": key.Secret(), "uri": key.URL(), "picture": img, "offer": base64.StdEncoding.EncodeToString(offer)})
	return nil
}

// confirmTOTP makes an offered secret the account's, and this session one of two factors, under a new token.
func (s *Server) confirmTOTP(w http.ResponseWriter, r *request) error {
	var in struct {
		Offer string `json:"offer"`
		Code  string `json:"code"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	a := &r.session.account
	if a.TOTP {
		if err := s.proven(r, true); err != nil {
			return err
		}
	}
	raw, err := base64.StdEncoding.DecodeString(in.Offer)
	if err != nil {
		return problem{http.StatusUnprocessableEntity, "malformed", "offer", nil}
	}
	secret, err := s.openTOTP(a.offerContext(), raw)
	if errors.Is(err, crypto.ErrEnvelope) {
		return problem{http.StatusUnprocessableEntity, "malformed", "offer", nil}
	}
	if err != nil {
		return err
	}
	step := totpStep(secret, in.Code, time.Now(), 0)
	if step == 0 {
		return problem{http.StatusUnprocessableEntity, "code_wrong", "code", nil}
	}
	sealed, err := s.sealTOTP(a.totpContext(), secret)
	if err != nil {
		return err
	}
	c, err := s.putTOTP(r.Context(), &r.session, sealed)
	if err != nil {
		return err
	}
	return s.enter(w, r, c, a.Name, factorTOTP, step, "")
}

func (s *Server) listSessions(w http.ResponseWriter, r *request) error {
	list, err := s.sessionsOf(r.Context(), &r.session)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"sessions": list})
	return nil
}

// endOtherSessions ends all sessions of the account but this one.
func (s *Server) endOtherSessions(w http.ResponseWriter, r *request) error {
	hashes, err := s.endSessionsOf(r.Context(), r.session.account.ID, r.session.account.ID, r.session.account.Org, r.session.hash)
	if err != nil {
		return err
	}
	for _, h := range hashes {
		s.hub.dropSession(h)
	}
	return s.listSessions(w, r)
}
