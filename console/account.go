package console

import (
	"slices"
	"time"

	"zhijiao/internal/id"
)

// Role is what an account may do. Roles are a set; the three administrators exclude one another and everything else (R108).
type Role string

const (
	Commander     Role = "commander"
	OfficerRole   Role = "officer"
	SystemAdmin   Role = "system_admin"
	SecurityAdmin Role = "security_admin"
	AuditAdmin    Role = "audit_admin"
)

// Roles are all of them.
var Roles = []Role{Commander, OfficerRole, SystemAdmin, SecurityAdmin, AuditAdmin}

// caseRoles see cases.
var caseRoles = []Role{Commander, OfficerRole}

// wallRole goes on being shown what changes when nobody has touched the screen for long: a wall is looked at, not used.
// Whatever a person asks for, and every act, needs a new login then.
const wallRole = Commander

func roleNames(roles []Role) []string {
	out := make([]string, len(roles))
	for i, r := range roles {
		out[i] = string(r)
	}
	return out
}

// account is who is logged in.
type account struct {
	ID          id.Account
	Name        string
	DisplayName string
	Org         id.Org
	OrgName     string
	OrgShort    string
	Roles       []Role
}

func (a *account) is(any ...Role) bool {
	return slices.ContainsFunc(any, func(r Role) bool { return slices.Contains(a.Roles, r) })
}

// session is a login on the server's side. The token itself is only in the browser.
type session struct {
	hash    []byte
	account account
	csrf    string
	idle    bool // nobody has asked for anything for long
}

// Sessions end after so long without a person asking for anything, and at the latest so long after login (ASVS 7.3; machine time).
const (
	sessionIdle = 30 * time.Minute
	sessionMost = 12 * time.Hour
)
