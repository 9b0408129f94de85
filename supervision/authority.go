package supervision

import (
	"strings"
	"time"

	"zhijiao/internal/id"
)

// Ground is one of the five for electronic positioning, in the order of 社区矫正法 29.
type Ground int

const (
	BreachedProhibition Ground = 1 // 违反人民法院禁止令
	LeftWithoutLeave    Ground = 2 // 无正当理由，未经批准离开所居住的市、县
	RefusedToReport     Ground = 3 // 拒不按照规定报告自己的活动情况，被给予警告
	PunishedForBreach   Ground = 4 // 违反监督管理规定，被给予治安管理处罚
	RevocationProposed  Ground = 5 // 拟提请撤销缓刑、假释或者暂予监外执行收监执行
)

// Authority is 使用电子定位装置批准 (社区矫正法 29): only within it may a wristband's places be known.
type Authority struct {
	ID           int64
	Subject      id.Subject
	Ground       Ground
	GroundRecord string // the 警告 of ground 3, the 治安处罚 of ground 4
	Approver     id.Officer
	DocumentNo   string
	From, Until  time.Time // legal dates as instants: midnight at Asia/Shanghai, until exclusive
	Informed     time.Time // when the person was told and signed the 告知书: not after From (R09)
	Proceeding   int64     // how it came about; 0: recorded from paper
	DeviceClass  string    // "wristband" or empty: there is no other an approval could be for
}

// shanghai is the time legal dates are in. It has no summer time since 1991, and nothing here is older than the law.
var shanghai = time.FixedZone("Asia/Shanghai", 8*60*60)

// check says what the law refuses, before the database does.
func (a Authority) check() error {
	switch {
	case a.DeviceClass != "" && a.DeviceClass != "wristband":
		return &LawError{FieldError{"device_class", NotForPhones, "electronic positioning is by a device worn for it, never by a phone"}, "实施办法 37"}
	case a.Ground < BreachedProhibition || a.Ground > RevocationProposed:
		return refusal("authority_ground_check")
	case (a.Ground == RefusedToReport || a.Ground == PunishedForBreach) && strings.TrimSpace(a.GroundRecord) == "":
		return refusal("authority_ground_record")
	case a.Approver == 0:
		return refusal("authority_approver")
	case strings.TrimSpace(a.DocumentNo) == "":
		return refusal("authority_document_no_check")
	case a.From.IsZero() || !a.From.Before(a.Until):
		return refusal("authority_valid_check")
	case a.Informed.IsZero() || a.Informed.After(a.From):
		return refusal("authority_informed")
	}
	return nil
}
