package console

import (
	"context"
	"time"
)

// RouteInfo is a row of the route table as tests see it.
type RouteInfo struct {
	Method, Path string
	Access       string
	Roles        []Role // none: anyone, without a session
	StepUp       bool
}

// RouteTable is every route there is.
func (s *Server) RouteTable() []RouteInfo {
	var out []RouteInfo
	for _, rt := range s.routes() {
		out = append(out, RouteInfo{rt.method, rt.path, rt.access.name, rt.access.roles, rt.manner&stepUp != 0})
	}
	return out
}

// CountHashes counts the password hashes computed from now on.
func (s *Server) CountHashes(n *int) { s.hasher = &counting{s.hasher, n} }

type counting struct {
	hasher
	n *int
}

func (c *counting) check(ctx context.Context, password, phc string) (bool, bool, error) {
	*c.n++
	return c.hasher.check(ctx, password, phc)
}

// FailureKey is what failures are counted under.
func FailureKey(name, address string) []byte { return failureKey(name, address) }

// WriteTimeout is how long a websocket may take to take a frame.
func (s *Server) WriteTimeout(d time.Duration) { s.hub.writeTime = d }
