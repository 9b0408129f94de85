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

// caseRoles see cases.
var caseRoles = []Role{Commander, OfficerRole}

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
	expires time.Time
}

// Sessions end after so long without a request, and at the latest so long after login (ASVS 7.3; machine time).
const (
	sessionIdle = 30 * time.Minute
	sessionMost = 12 * time.Hour
)
