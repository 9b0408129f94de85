package alerts

import (
	"context"
	"fmt"
	"time"

	"zhijiao/geofence"
)

// Policy is the handling table and the legal bases as they hold at an instant: what class an alert would have, without
// raising it.
type Policy struct {
	handling map[[2]string]Class
	allowed  map[string][2]Class // by legal basis: at all times, at some times
}

// PolicyAt reads the policy that holds at t.
func PolicyAt(ctx context.Context, q Querier, t time.Time) (*Policy, error) {
	p, err := loadPolicy(ctx, q, t)
	if err != nil {
		return nil, fmt.Errorf("read the handling table: %w", err)
	}
	return p, nil
}

// Class is the class an alert of a violation would have.
func (p *Policy) Class(v *geofence.ViolationBody) Class {
	h, ok := p.handling[[2]string{string(v.Kind), string(v.Channel)}]
	if !ok {
		h = unknownHandling.class
	}
	allowed, ok := p.allowed[v.Basis]
	if !ok {
		return Lead
	}
	if v.Timed {
		return Weaker(h, allowed[1])
	}
	return Weaker(h, allowed[0])
}
