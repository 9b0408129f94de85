package supervision

import (
	"fmt"
	"strings"
	"time"

	"zhijiao/internal/id"
)

// TaskKind says what is to be done.
type TaskKind string

const (
	ProcuratorateCopy TaskKind = "procuratorate_copy" // 抄送人民检察院 (R10)
	CourtNotice       TaskKind = "court_notice"       // 告知原审人民法院 (实施办法 39)
	CountyFiling      TaskKind = "county_filing"      // 报县级社区矫正机构备案 (实施办法 27)
	DeviceReturn      TaskKind = "device_return"      // 收回装置 (R06)
	LeaveReturn       TaskKind = "leave_return"       // 销假 (R72)
	DelayDecision     TaskKind = "delay_decision"     // a delay was reported and waits for a decision
	AuthorityEnds     TaskKind = "authority_ends"     // 使用期限将满 (R07)
	RemovalDate       TaskKind = "removal_date"       // 预约拆除 (R126)
)

// TaskSpec is something to be done by a time. Key tells it from others of its kind; the same is not asked for twice.
type TaskSpec struct {
	Kind TaskKind
	Key  string
	Due  time.Time
}

// TaskKey names tasks of a proceeding: one, or with an empty key all of a kind.
type TaskKey struct {
	Kind TaskKind
	Key  string
}

func taskKey(proceeding int64, more ...any) string {
	parts := []string{fmt.Sprint(proceeding)}
	for _, m := range more {
		parts = append(parts, fmt.Sprint(m))
	}
	return strings.Join(parts, "/")
}

// Task is 待办事项.
type Task struct {
	ID         int64
	Kind       TaskKind
	Subject    id.Subject
	Org        id.Org
	Proceeding int64 // 0: none
	OpenedAt   time.Time
	Due        time.Time
	DoneAt     time.Time // zero: it is to be done
	DoneBy     id.Account
	Outcome    string
}
