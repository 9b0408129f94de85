package supervision

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
)

// Item is something the procuratorate looks for in community correction (人民检察院刑事诉讼规则 642–644), as a question to what is on record (R103).
type Item struct {
	Code     string
	ZH, EN   string
	Citation string
	sql      string // $1 scope, $2 now: subject_id, org short name, when, what
	Missing  string // why nothing on record answers it; empty: it is answered
}

// within limits rows with a subject_id (x) to subjects whom the offices in scope supervise.
const within = `EXISTS (SELECT FROM subject_office o WHERE o.subject_id = x.subject_id AND upper_inf(o.recorded) AND o.valid @> $2::timestamptz AND o.org_id IN (SELECT org_subtree($1)))`

// Items are all of them.
var Items = []Item{
	{Code: "not_told", ZH: "未依法告知权利义务即使用电子定位或信息化核查", EN: "located or checked without having been told", Citation: "刑诉规则 644；社区矫正法 29；个人信息保护法 35",
		sql: `SELECT x.subject_id, lower(x.valid), CASE x.class WHEN 'wristband' THEN 'positioning' ELSE 'check' END FROM binding x WHERE upper_inf(x.recorded) AND x.valid @> $2::timestamptz
			AND NOT EXISTS (SELECT FROM notice n JOIN notice_text t USING (notice_text_id) WHERE n.subject_id = x.subject_id AND (t.code = CASE x.class WHEN 'wristband' THEN 'positioning' ELSE 'check' END))
			AND NOT (x.class = 'wristband' AND EXISTS (SELECT FROM authority a WHERE a.subject_id = x.subject_id AND upper_inf(a.recorded) AND a.valid @> $2::timestamptz)) AND ` + within},
	{Code: "no_authority", ZH: "没有有效批准而佩戴电子定位装置", EN: "a wristband worn without an approval in force", Citation: "社区矫正法 29；刑诉规则 644",
		sql: `SELECT x.subject_id, lower(x.valid), d.serial FROM binding x JOIN device d USING (device_id) WHERE upper_inf(x.recorded) AND x.class = 'wristband' AND x.valid @> $2::timestamptz
			AND NOT EXISTS (SELECT FROM authority a WHERE a.subject_id = x.subject_id AND upper_inf(a.recorded) AND a.valid @> $2::timestamptz) AND ` + within},
	{Code: "copy_late", ZH: "决定未抄送或者逾期抄送人民检察院", EN: "decisions not copied to the procuratorate, or late", Citation: "社区矫正法 27、29；实施办法 32",
		sql: `SELECT x.subject_id, x.due_at, x.key FROM task x WHERE x.kind = 'procuratorate_copy' AND coalesce(x.done_at, $2) > x.due_at AND ` + within},
	{Code: "leave_unlawful", ZH: "批准外出的机关或期限不合规定", EN: "leave granted by the wrong organ or for too long", Citation: "社区矫正法 27；实施办法 27；刑诉规则 644（三）",
		sql: `SELECT x.subject_id, x.opened_at, 'proceeding ' || x.proceeding_id FROM proceeding x JOIN proceeding_step g ON g.proceeding_id = x.proceeding_id AND g.step = 'approved' LEFT JOIN officer f ON f.officer_id = g.officer_id LEFT JOIN org o2 ON o2.org_id = f.org_id
			WHERE x.kind = 'leave' AND ((x.facts ->> 'until')::timestamptz - (x.facts ->> 'from')::timestamptz) > make_interval(days => (SELECT amount[1] FROM period WHERE code = 'leave.office' AND upper_inf(recorded) AND valid @> x.opened_at))
			AND o2.kind = 'judicial_office' AND ` + within},
	{Code: "out_of_control", ZH: "脱离监管：外出逾期未归、失去联系", EN: "out of control: leave overdue, or lost contact", Citation: "刑诉规则 644（四）；实施办法 28、38",
		sql: `SELECT x.subject_id, x.opened_at, x.kind FROM violation x WHERE x.state = 'open' AND x.kind IN ('not_returned', 'device_silent', 'stayed_elsewhere') AND x.opened_at < $2::timestamptz - interval '1 day' AND ` + within},
	{Code: "not_answered", ZH: "属实的违规情形没有处理记录", EN: "substantiated matters without a sanction on record", Citation: "刑诉规则 644（五）；社区矫正法 28",
		sql: `SELECT x.subject_id, x.closed_at, x.kind FROM alert x WHERE x.conclusion = 'substantiated' AND NOT EXISTS (SELECT FROM sanction s WHERE s.subject_id = x.subject_id AND s.decided_at >= x.opened_at) AND ` + within},
	{Code: "no_rules", ZH: "有禁止令而没有监管规则", EN: "a prohibition order in force without rules", Citation: "刑诉规则 643；社区矫正法 23",
		sql: `SELECT x.subject_id, lower(x.valid), x.document_no FROM prohibition x WHERE upper_inf(x.recorded) AND x.valid @> $2::timestamptz AND x.type <> 'activity' AND cardinality(coalesce(x.zones, '{}')) = 0 AND cardinality(coalesce(x.relations, '{}')) = 0 AND ` + within},
	{Code: "term_over", ZH: "矫正期满而仍在采集位置", EN: "located although the term is over", Citation: "社区矫正法 44；刑诉规则 644（七）",
		sql: `SELECT x.subject_id, upper(s.valid), x.class FROM binding x JOIN sentence s ON s.subject_id = x.subject_id AND upper_inf(s.recorded) WHERE upper_inf(x.recorded) AND x.valid @> $2::timestamptz AND upper(s.valid) <= $2 AND ` + within},
	{Code: "third_warning", ZH: "应当提请撤销缓刑、假释或收监而未提请（两次警告后仍违规）", EN: "revocation not proposed after two warnings", Citation: "实施办法 46–49；刑诉规则 644（八）",
		sql: `SELECT x.subject_id, max(x.decided_at), count(*)::text FROM sanction x WHERE x.kind = 'warning' AND x.revoked_at IS NULL AND ` + within + ` GROUP BY x.subject_id HAVING count(*) >= 2`},
	{Code: "requests_late", ZH: "个人信息请求逾期未答复", EN: "requests about personal data not answered in time", Citation: "个人信息保护法 50",
		sql: `SELECT x.subject_id, x.due_at, x.kind FROM data_request x WHERE coalesce(x.done_at, $2) > x.due_at AND ` + within},
	{Code: "ill_treatment", ZH: "侮辱、体罚、变相处罚，超时或者强制劳动", EN: "ill-treatment, forced or over-long labour", Citation: "刑诉规则 644（六）；社区矫正法 34",
		Missing: "公益活动和教育活动的记录属于教育矫正模块，尚未建立；控告、申诉由检察院受理。"},
}

// Finding is a row that answers an item.
type Finding struct {
	Subject id.Subject
	At      time.Time
	What    string
}

// Inspect asks what is on record for an item, of subjects in scope, the newest first, at most 500.
func Inspect(ctx context.Context, q Querier, scope id.Org, item *Item, now time.Time) ([]Finding, error) {
	if item.Missing != "" {
		return nil, nil
	}
	rows, err := q.Query(ctx, "SELECT * FROM ("+item.sql+") AS found ORDER BY 2 DESC LIMIT 500", scope, now)
	if err != nil {
		return nil, fmt.Errorf("inspect %s: %w", item.Code, err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f Finding, err error) {
		err = row.Scan(&f.Subject, &f.At, &f.What)
		f.At = f.At.UTC()
		return f, err
	})
	if err != nil {
		return nil, fmt.Errorf("inspect %s: %w", item.Code, err)
	}
	return list, nil
}
