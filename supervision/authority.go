package supervision

import (
	"strings"
	"time"

	"zhijiao/internal/id"
)

// Authority is 使用电子定位装置批准 (社区矫正法 29): only within it may a wristband's places be known.
type Authority struct {
	ID           int64
	Subject      id.Subject
	Ground       int    // 1 to 5, in the order of the article
	GroundRecord string // the 警告 of ground 3, the 治安处罚 of ground 4
	Approver     id.Officer
	DocumentNo   string
	From, Until  time.Time // legal dates as instants: midnight at Asia/Shanghai, until exclusive
	DeviceClass  string    // "wristband" or empty: there is no other an approval could be for
}

// shanghai is the time legal dates are in. It has no summer time since 1991, and nothing here is older than the law.
var shanghai = time.FixedZone("Asia/Shanghai", 8*60*60)

// threeMonths is three calendar months after t; the end of a shorter month is its last day (30 November: 28 February).
func threeMonths(t time.Time) time.Time {
	l := t.In(shanghai)
	year, month, day := l.Date()
	last := time.Date(year, month+4, 0, 0, 0, 0, 0, shanghai).Day()
	return time.Date(year, month+3, min(day, last), l.Hour(), l.Minute(), l.Second(), l.Nanosecond(), shanghai)
}

// check says what the law refuses, before the database does.
func (a Authority) check() error {
	switch {
	case a.DeviceClass != "" && a.DeviceClass != "wristband":
		return &Refused{"device_class", NotForPhones, "《社区矫正法实施办法》第三十七条", "electronic positioning is by a device worn for it, never by a phone"}
	case a.Ground < 1 || a.Ground > 5:
		return refusal("authority_ground_check")
	case (a.Ground == 3 || a.Ground == 4) && strings.TrimSpace(a.GroundRecord) == "":
		return refusal("authority_ground_record")
	case a.Approver == 0:
		return refusal("authority_approver")
	case strings.TrimSpace(a.DocumentNo) == "":
		return refusal("authority_document_no_check")
	case a.From.IsZero() || !a.From.Before(a.Until):
		return refusal("authority_valid_check")
	case a.Until.After(threeMonths(a.From)):
		return refusal("authority_three_months")
	}
	return nil
}

func refusal(constraint string) *Refused {
	r := constraints[constraint]
	return &r
}
