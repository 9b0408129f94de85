package console

import (
	"slices"
	"time"

	"zhijiao/internal/id"
)

// Role is what an account may do. Roles are a set; the three administrators exclude one another and everything else (R108).
type Role string

const (
	Commander        Role = "commander"         // 指挥中心值班
	OfficerRole      Role = "officer"           // 执法人员
	Field            Role = "field"             // 外勤
	Auxiliary        Role = "auxiliary"         // 辅助人员: checks, calls, visits and notes (R135)
	Approver         Role = "approver"          // 审批人员
	ProvincialReader Role = "provincial_reader" // 省级查看: the whole of it, and changes nothing
	Prosecutor       Role = "prosecutor"        // 检察院: what was decided and done, not where people are
	SystemAdmin      Role = "system_admin"      // 系统管理员
	SecurityAdmin    Role = "security_admin"    // 安全管理员
	AuditAdmin       Role = "audit_admin"       // 审计管理员
)

// Roles are all of them.
var Roles = []Role{Commander, OfficerRole, Field, Auxiliary, Approver, ProvincialReader, Prosecutor, SystemAdmin, SecurityAdmin, AuditAdmin}

// administrators see no case, and exclude one another and everything else (R108; 等保 8.1.5).
var administrators = []Role{SystemAdmin, SecurityAdmin, AuditAdmin}

// access is who a route is open to.
type access struct {
	name  string
	roles []Role // none: anyone, without a session
}

// administers reports whether only administrators are let in: whoever else is refused lacks the role, and an administrator who is refused
// elsewhere sees no case.
func (a access) administers() bool {
	return !slices.ContainsFunc(a.roles, func(r Role) bool { return !slices.Contains(administrators, r) })
}

// Who a route is open to. What of it somebody may do is the law's and the office's to say (supervision), and whom of it they see their scope's.
var (
	anyone   = access{name: "anyone"}
	loggedIn = access{"logged_in", Roles}
	// watch: where people are now.
	watch = access{"watch", []Role{Commander, OfficerRole, Field, Auxiliary, Approver, ProvincialReader}}
	// readCases: what was found, decided and done.
	readCases = access{"read_cases", []Role{Commander, OfficerRole, Field, Auxiliary, Approver, ProvincialReader, Prosecutor}}
	// work: calls, visits, notes, what was seen.
	work = access{"work", []Role{Commander, OfficerRole, Field, Auxiliary}}
	// handle: to take charge of an alert, and to conclude it.
	handle = access{"handle", []Role{Commander, OfficerRole, Field}}
	// decide: what changes what applies to a person.
	decide = access{"decide", []Role{Commander, OfficerRole, Approver}}
	// reveal: to see who somebody is, for a reason that is written down.
	reveal = access{"reveal", []Role{Commander, OfficerRole, Field, Auxiliary, Approver}}
	// command: what applies to all.
	command = access{"command", []Role{Commander}}
	// inspect: what the procuratorate asks, and who was looked at.
	inspect = access{"inspect", []Role{Commander, Approver, Prosecutor}}
	// handlePrivacy: what is given to others, and what people ask about their data.
	handlePrivacy = access{"privacy", []Role{Commander, Approver}}
	// retained: what was deleted, and when.
	retained = access{"retained", []Role{Commander, Approver, Prosecutor, AuditAdmin}}
	// organise: organisation, officers, devices.
	organise = access{"organise", []Role{SystemAdmin}}
	// secure: accounts, roles, policy.
	secure = access{"secure", []Role{SecurityAdmin}}
	// auditing: the ledger.
	auditing = access{"auditing", []Role{AuditAdmin}}
	// agree: to be the second of two.
	agree = access{"agree", []Role{Commander, Approver, SecurityAdmin, AuditAdmin}}
)

// wallRole goes on being shown what changes when nobody has touched the screen for long: a wall is looked at, not used.
// Whatever a person asks for, and every act, needs a new login then.
const wallRole = Commander

// watchRoles are told of it as it happens.
func watchRoles() []string { return roleNames(watch.roles) }

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
	Scope       id.Org // all it sees: its own organisation, or that and those it covers for just now (org_subtree)
	TOTP        bool   // it has a second factor of that kind
	Cover       string // which duties it covers just now; empty: none
	OrgName     string
	OrgShort    string
	Roles       []Role
}

// may are the accesses of the route table that an account has: what pages offer it.
func (a *account) may() []string {
	out := []string{}
	for _, v := range []access{watch, readCases, work, handle, decide, command, reveal, inspect, handlePrivacy, retained, organise, secure, auditing, agree} {
		if a.is(v.roles...) {
			out = append(out, v.name)
		}
	}
	return out
}

func (a *account) is(any ...Role) bool {
	return slices.ContainsFunc(any, func(r Role) bool { return slices.Contains(a.Roles, r) })
}

// session is a login on the server's side. The token itself is only in the browser.
type session struct {
	hash       []byte
	account    account
	csrf       string
	idle       bool   // nobody has asked for anything for long
	factor     string // what was proved beside the password
	policy     Policy
	mustChange bool          // the password: it is too old, or somebody else knows it
	stepped    time.Duration // since whoever sits there last proved who they are
}

// Sessions end after so long without a person asking for anything, and at the latest so long after login (ASVS 7.3; machine time).
const (
	sessionIdle = 30 * time.Minute
	sessionMost = 12 * time.Hour
)
