package supervision

import (
	"log/slog"
	"time"
	"unicode/utf8"

	"zhijiao/internal/id"
)

// Category is on what ground somebody is under supervision (社区矫正法 2), as the province numbers it.
type Category string

const (
	PublicSurveillance Category = "01" // 管制
	Probation          Category = "02" // 缓刑
	Parole             Category = "03" // 假释
	MedicalParole      Category = "04" // 暂予监外执行
	OtherCategory      Category = "99"
	Protected          Category = "protected" // 被保护人: under nobody's supervision, kept from somebody who is
)

// Subject is 社区矫正对象 as most people may see one: masked.
type Subject struct {
	ID          id.Subject
	LocalNo     string
	ProvinceNo  string
	Category    Category
	Juvenile    bool // a minor at the time of the offence, whatever age now (社区矫正法 58)
	Surname     string
	Office      id.Org
	OfficeShort string
	OfficeSince time.Time
}

// Tail is the last four characters of the local number.
func (s Subject) Tail() string { return s.LocalNo[max(len(s.LocalNo)-4, 0):] }

// Label is how a subject is called wherever the name is not needed: 李某某·岳口·0417. Of a minor not even the surname stands there (社区矫正法 54).
func (s Subject) Label() string {
	if s.Juvenile {
		return "未成年人·" + s.OfficeShort + "·" + s.Tail()
	}
	return s.Surname + "某某·" + s.OfficeShort + "·" + s.Tail()
}

// Person is what identifies a subject. It is read only where somebody has a reason to, and that is recorded.
type Person struct {
	Name     string
	IDNumber string
	Phone    string
	Address  string
	Contacts []Contact // in the order in which to call them
}

// Contact is somebody to call about a subject.
type Contact struct {
	Name     string `json:"name"`
	Relation string `json:"relation"`
	Phone    string `json:"phone"`
}

// LogValue keeps people out of every log.
func (Person) LogValue() slog.Value { return slog.StringValue("person withheld from logs") }

// LogValue keeps people out of every log.
func (Contact) LogValue() slog.Value { return slog.StringValue("person withheld from logs") }

// Enrolment is a subject as taken on.
type Enrolment struct {
	LocalNo    string
	ProvinceNo string
	Category   Category
	Surname    string // empty: the first character of the name
	Person     Person
	Office     id.Org
	From       time.Time // when the office began to supervise
}

// compound are the surnames of two characters that still occur; of any other name the first character is shown.
var compound = map[string]bool{"欧阳": true, "上官": true, "司马": true, "诸葛": true, "皇甫": true, "尉迟": true, "公孙": true,
	"慕容": true, "令狐": true, "司徒": true, "长孙": true, "宇文": true, "夏侯": true, "东方": true, "端木": true, "西门": true}

func surnameOf(name string) string {
	runes := []rune(name)
	if len(runes) > 2 && compound[string(runes[:2])] {
		return string(runes[:2])
	}
	_, n := utf8.DecodeRuneInString(name)
	return name[:n]
}
