package supervision

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrNotFound means that there is no such thing in the part of the organisation the caller may see. Which of the two it
// is, is not told.
var ErrNotFound = errors.New("not found in this part of the organisation")

// ErrConflict means that somebody else changed it since the asker saw it.
var ErrConflict = errors.New("changed by somebody else in the meantime")

// Code says why something was refused; the console has a sentence for each.
type Code string

const (
	Missing             Code = "missing"               // a field that must be given
	Malformed           Code = "malformed"             // a field of a shape that cannot be
	Taken               Code = "taken"                 // a number that somebody has already
	Unknown             Code = "unknown"               // it refers to something that is not there
	Loop                Code = "loop"                  // an organisation under itself
	NotAGround          Code = "not_a_ground"          // none of the five grounds
	GroundWithoutRecord Code = "ground_without_record" // grounds 3 and 4 without the record they need
	NotTheCountyHead    Code = "not_the_county_head"   // approved by somebody who may not
	NoDocument          Code = "no_document"           // an approval without a document number
	TooLong             Code = "longer_than_3_months"  // more than three calendar months
	Overlapping         Code = "overlapping"           // there is one for some of that time already
	NotForPhones        Code = "not_for_phones"        // a wristband's approval for another class of device
	EmptyInterval       Code = "empty_interval"        // it ends before it begins
	NotAfterTheLast     Code = "not_after_the_last"    // earlier than what it follows on
	OutsideTheInterval  Code = "outside_the_interval"  // not within what it shortens
	OutOfTurn           Code = "out_of_turn"           // a step that does not follow on the last one
	InTheFuture         Code = "in_the_future"         // recorded before it has happened
	WrongOrgan          Code = "wrong_organ"           // another organ decides
	WrongStaff          Code = "wrong_staff"           // staff of a kind that does not decide (R135)
	SamePerson          Code = "same_person"           // who proposed does not approve
	OutlivesTheSentence Code = "outlives_the_sentence" // longer than the person is under supervision
	OfAJuvenile         Code = "of_a_juvenile"         // somebody was a minor: few may see it (社区矫正法 54)
	NotForThisPurpose   Code = "not_for_this_purpose"  // data that serves community correction alone
	NoBasis             Code = "no_basis"              // nothing in law lets it be done
	TooShort            Code = "too_short"             // shorter than the law has it
)

// FieldError is why something was not recorded: which field, and why. It never quotes a person's data.
type FieldError struct {
	Field  string
	Code   Code
	Detail string
}

// Error names the field and the reason.
func (e *FieldError) Error() string { return e.Field + ": " + e.Detail }

// LawError is a FieldError that the law commands: no setting changes it.
type LawError struct {
	FieldError
	Article string // what it rests on
}

// Error names the field, the reason and the article.
func (e *LawError) Error() string { return e.FieldError.Error() + " (" + e.Article + ")" }

// Unwrap gives the FieldError.
func (e *LawError) Unwrap() error { return &e.FieldError }

// byConstraint turns what the database refused into words; other errors stay as they are.
func byConstraint(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	if pg.ConstraintName == "subject_state_subject_id_fkey" {
		return ErrNotFound
	}
	if _, known := constraints[pg.ConstraintName]; !known {
		return err
	}
	return refusal(pg.ConstraintName)
}

const article29 = "社区矫正法 29"

// refusal is what a constraint means to people.
func refusal(constraint string) error {
	c := constraints[constraint]
	field := FieldError{c.field, c.code, c.detail}
	if c.article == "" {
		return &field
	}
	return &LawError{field, c.article}
}

var constraints = map[string]struct {
	field   string
	code    Code
	article string
	detail  string
}{
	"authority_ground_check":                        {"ground", NotAGround, article29, "there are five grounds, 1 to 5"},
	"authority_ground_record":                       {"ground_record", GroundWithoutRecord, article29, "grounds 3 and 4 need the 警告 or 治安处罚 they rest on"},
	"authority_approver":                            {"approver", NotTheCountyHead, article29, "only the head of the county-level 司法行政部门 approves"},
	"authority_document_no_check":                   {"document_no", NoDocument, article29, "an approval has a document number"},
	"authority_three_months":                        {"until", TooLong, article29, "at most three calendar months; each extension needs its own approval"},
	"authority_informed":                            {"informed", Missing, "实施办法 37", "the person is told and signs before where they are may be known"},
	"authority_valid_check":                         {"until", EmptyInterval, "", "it has a beginning and a later end"},
	"authority_subject_id_valid_recorded_excl":      {"from", Overlapping, article29, "there is an approval for some of this time already"},
	"authority_subject_id_fkey":                     {"subject", Unknown, "", "no such subject"},
	"authority_approver_id_fkey":                    {"approver", Unknown, "", "no such officer"},
	"subject_local_no_key":                          {"local_no", Taken, "", "a subject has this number already"},
	"subject_local_no_check":                        {"local_no", Malformed, "", "4 to 32 letters, digits and hyphens"},
	"subject_province_no_key":                       {"province_no", Taken, "", "a subject has this number already"},
	"subject_category_check":                        {"category", Malformed, "社区矫正法 2", "01, 02, 03, 04 or 99"},
	"subject_office_org_id_fkey":                    {"office", Unknown, "", "no such organisation"},
	"subject_office_subject_id_valid_recorded_excl": {"from", Overlapping, "", "an office supervises the subject at that time already"},
	"org_parent_id_fkey":                            {"parent", Unknown, "", "no such organisation"},
	"org_code_key":                                  {"code", Taken, "", "an organisation has this code already"},
	"org_kind_check":                                {"kind", Malformed, "", "no such kind of organisation"},
	"org_name_check":                                {"name", Missing, "", "an organisation has a name"},
	"org_short_name_check":                          {"short_name", Missing, "", "an organisation has a short name"},
	"officer_org_id_fkey":                           {"org", Unknown, "", "no such organisation"},
	"officer_kind_check":                            {"kind", Malformed, "", "no such kind of officer"},
	"officer_name_check":                            {"name", Missing, "", "an officer has a name"},
}
