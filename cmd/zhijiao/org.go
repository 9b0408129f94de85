package main

import (
	"context"
	"fmt"
	"strings"

	"zhijiao/internal/id"
	"zhijiao/supervision"
)

// findOrg returns the organisation that goes by a name, a short name or a code.
func findOrg(ctx context.Context, s *supervision.Store, name string) (id.Org, error) {
	roots, err := s.Roots(ctx)
	if err != nil {
		return 0, err
	}
	var found []supervision.Org
	var names []string
	for _, root := range roots {
		all, err := s.Orgs(ctx, root.ID)
		if err != nil {
			return 0, err
		}
		for _, org := range all {
			names = append(names, org.Name)
			if name == org.Name || name == org.ShortName || org.Code != "" && name == org.Code {
				found = append(found, org)
			}
		}
	}
	switch {
	case len(found) == 1:
		return found[0].ID, nil
	case len(found) > 1:
		return 0, fmt.Errorf("--org: %d organisations are called %q: give the full name or the code", len(found), name)
	case len(names) == 0:
		return 0, fmt.Errorf("--org: there is no organisation yet: `zhijiao officer add` makes the first one")
	}
	return 0, fmt.Errorf("--org: no organisation is called %q; there are %s", name, strings.Join(names, ", "))
}
