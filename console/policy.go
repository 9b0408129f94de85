package console

import (
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/trustelem/zxcvbn"
)

// Profile is a named set of rules about logging in.
type Profile string

const (
	// Dengbao3 is what an assessment by GB/T 22239-2019 (等保 2.0) level three looks for, 8.1.4.1.
	Dengbao3 Profile = "dengbao3"
	// ASVS is OWASP ASVS 5.0 V6: no classes of characters and no expiry, both of which make people choose worse.
	ASVS Profile = "asvs"
)

// Policy is what applies to logins. Times are machine time.
type Policy struct {
	Version      int
	Profile      Profile
	SecondFactor bool          // nobody works without one
	Least        int           // characters of a password
	Classes      int           // of upper case, lower case, digits and others: how many must occur
	MaxAge       time.Duration // of a password; 0: it does not age
	History      int           // passwords that may not come again
	Score        int           // of zxcvbn, 0 to 4: guessable ones are refused in every profile
}

// policyOf is a profile with its numbers.
func policyOf(p Profile) Policy {
	if p == ASVS {
		return Policy{Profile: ASVS, Least: passwordLeast, History: 1, Score: 3}
	}
	return Policy{Profile: Dengbao3, Least: passwordLeast, Classes: 3, MaxAge: 90 * 24 * time.Hour, History: 5, Score: 3}
}

// relaxes reports whether going from one policy to another asks less of people.
func (p Policy) relaxes(to Policy) bool {
	return p.SecondFactor && !to.SecondFactor || to.Classes < p.Classes || p.MaxAge > 0 && (to.MaxAge == 0 || to.MaxAge > p.MaxAge) || to.History < p.History || to.Least < p.Least
}

// zxcvbnMost is how much of a password is looked at for being guessable: the time grows with it.
const zxcvbnMost = 100

// check refuses a password that a person chose; about are words that anybody would try for them.
func (p Policy) check(password string, about ...string) error {
	refuse := func(code string, detail map[string]any) error { return problem{422, code, "password", detail} }
	n := utf8.RuneCountInString(password)
	if n < p.Least || len(password) > passwordMost {
		return refuse("password_length", map[string]any{"least": p.Least})
	}
	var upper, lower, digit, other int
	for _, r := range password {
		switch {
		case unicode.IsUpper(r):
			upper = 1
		case unicode.IsLower(r):
			lower = 1
		case unicode.IsDigit(r):
			digit = 1
		default:
			other = 1
		}
	}
	if upper+lower+digit+other < p.Classes {
		return refuse("password_classes", map[string]any{"least": p.Classes})
	}
	looked := []rune(password)
	if len(looked) > zxcvbnMost {
		looked = looked[:zxcvbnMost]
	}
	if zxcvbn.PasswordStrength(string(looked), append(about, "zhijiao", "jiaozheng", "tianmen")).Score < p.Score {
		return refuse("password_guessable", nil)
	}
	return nil
}

// String names the profile with what goes beyond it.
func (p Policy) String() string {
	return fmt.Sprintf("%s, second factor %v", p.Profile, p.SecondFactor)
}
