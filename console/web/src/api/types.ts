// What the server says. Instants are RFC 3339 in UTC; distances are metres; longitudes and latitudes are WGS-84.

export type Id = number;
export type Instant = string;

export type AlertClass = 'alarm' | 'reminder' | 'lead';
export type AlertState = 'open' | 'acknowledged' | 'closed';
export type Channel = 'wristband' | 'phone' | 'none';
export type SubjectState = 'ok' | 'silent' | 'out' | 'unverifiable';
export type Role = 'commander' | 'officer' | 'field' | 'auxiliary' | 'approver' | 'provincial_reader' | 'prosecutor' | 'system_admin' | 'security_admin' | 'audit_admin';

export interface Clock {
  now: Instant;
  kind: 'machine' | 'scaled' | 'stepped';
  rate?: number | null;
}

export interface OrgRef {
  id: Id;
  short_name: string;
  name?: string;
}

export interface Me {
  account: { id: Id; name: string; display_name: string; roles: Role[]; org: OrgRef; totp: boolean; covering: boolean };
  csrf: string;
  deployment: { mode: 'live' | 'rehearsal' };
  clock: Clock;
  version: string;
  map: { center: [number, number]; zoom: number };
  may: string[];
  proven: { factor: string; second_factor_needed: boolean; password_to_change: boolean; profile: string; password_least: number };
}

export interface Position {
  lon: number;
  lat: number;
  fix_at: Instant;
  accuracy_m: number; // 0 for unknown
  method: string;
  battery: number | null;
}

export interface Subject {
  id: Id;
  label: string;
  surname?: string;
  office: OrgRef;
  local_no_tail?: string;
  channel: Channel;
  on_duty?: boolean;
  position: Position | null;
  state: SubjectState;
}

export interface Person {
  id: Id;
  display_name: string;
}

export interface LegalBasis {
  code: string;
  title: string;
  title_en: string;
  citation: string;
}

export interface Alert {
  id: Id;
  subject: { id: Id; label: string };
  org: OrgRef;
  kind: string;
  channel: Channel;
  class: AlertClass;
  state: AlertState;
  version: number;
  opened_at: Instant;
  raised_at: Instant;
  due_at: Instant;
  /** Who has it now: offices, watch, … */
  with: string[];
  /** When it goes on to the next, unless somebody takes charge of it. */
  escalates_at: Instant | null;
  review: boolean;
  /** The reminder stands under this incident (an area that is away), and not in the queue. */
  outage_id?: Id;
  violation_state: 'open' | 'closed' | 'withdrawn';
  acknowledged_by: Person | null;
  acknowledged_at: Instant | null;
  closed_by: Person | null;
  closed_at: Instant | null;
  conclusion: string | null;
  follow_up_on: string | null;
  legal_basis: LegalBasis;
  sentence: { zh: string; en: string };
  position: { lon: number; lat: number } | null;
}

export interface Polygonal {
  type: 'Polygon' | 'MultiPolygon';
  coordinates: number[][][] | number[][][][];
}

export interface Zone {
  id: Id;
  version: number;
  name: string;
  purpose: 'activity' | 'prohibited' | 'destination' | 'attention';
  official: boolean;
  shape: 'polygon' | 'circle';
  geometry: Polygonal;
  center?: [number, number] | null;
  radius_m?: number | null;
}

export interface Org {
  id: Id;
  parent_id: Id | null;
  kind: string;
  name: string;
  short_name: string;
  lon: number | null;
  lat: number | null;
  open_alerts: number;
}

export interface Summary {
  in_supervision: number;
  wristbands: number;
  wristbands_silent: number;
  phones: number;
  checks_today: { asked: number; answered: number };
  open: Record<AlertClass, number>;
  by_office: { org: OrgRef; open: number }[];
  raised_24h: number[];
}

export interface Snapshot {
  pos: number;
  now: Instant;
  clock: Clock;
  data_at?: Instant | null;
  subjects: Subject[];
  alerts: Alert[];
  zones: Zone[];
  orgs: Org[];
  summary: Summary;
}

export interface HistoryEntry {
  seq: number;
  act: string;
  account: Person | { display_name: string } | null;
  at: Instant;
  written_at: Instant;
  body: Record<string, unknown>;
}

export interface Fix {
  lon: number;
  lat: number;
  fix_at: Instant;
  accuracy_m: number | null;
  method: string;
  flags?: string[] | number | null;
  speed_mps?: number | null;
  battery?: number | null;
  verdict?: string | null;
  margin_m?: number | null;
}

export interface Contact {
  relation?: string;
  name?: string;
  phone?: string;
}

/** What a violation was decided on. Fixes are in 1e-7 degrees and centimetres, as they were judged. */
export interface Evidence extends Record<string, unknown> {
  fixes?: Record<string, unknown>[];
  rule_kind?: string;
  document_no?: string;
  thresholds?: Record<string, unknown>;
}

export interface AlertDetail extends Omit<Alert, 'subject'> {
  history: HistoryEntry[];
  /** What was seen here last was corrected since, by data that came late or a fact that reaches back. */
  corrected_at?: Instant | null;
  violation: {
    id?: Id;
    kind?: string;
    state?: string;
    version?: number;
    opened_at?: Instant;
    decided_at?: Instant;
    closed_at?: Instant | null;
    late?: boolean;
    engine?: string;
    rule_id?: Id;
    rule_version?: number;
    evidence?: Evidence | null;
    /** The chain from fixes to the violation in words, a line each. */
    explanation?: { zh: string; en: string }[];
  } | null;
  subject: { id: Id; label: string; masked: boolean; name?: string; phone?: string; address?: string; contacts?: Contact[] };
  zone: Zone | null;
  rule: { id: Id; version: number; kind: string; legal_basis: string; document_no: string; params: Record<string, unknown> } | null;
  track: Fix[];
}

export interface AlertPage {
  alerts: Alert[];
  next: string | null;
}

export interface Track {
  fixes: Fix[];
  gaps: { from: Instant; until: Instant }[];
  more: boolean;
  purpose: string;
}

export interface AccountingRow {
  kind: string;
  outcome: 'received' | 'stored' | 'withheld' | 'rejected' | 'duplicate';
  reason: string;
  n: number;
}

/** What never arrived of devices although later sequences did, and sequences that came again with another content. */
export interface DeviceGaps {
  devices: number;
  missing: number;
  lost: number;
  conflicted: number;
  conflicts: number;
}

/** How far the data of a source (a wire and a class of device) has come. */
export interface Source {
  source: string; // 'jt808 wristband'
  devices: number;
  observed_at: Instant | null; // of the newest; null: never
  lag_s: number;
  limit_s: number;
  stale: boolean;
}

export interface NamedDay {
  date: string; // 2026-10-01
  off: boolean; // false: worked although it is a Saturday or Sunday
  name: string;
}

export interface Calendar {
  year: number;
  source: string;
  official: boolean;
  recorded_at: Instant | null; // null: nothing is recorded of the year
  recorded_by: string;
  days: NamedDay[];
  eve?: NamedDay[]; // of a file: days of the December before
}

export interface ScheduleRow {
  days?: number[] | null; // 1 is Monday; none: every day
  on?: '' | 'workday' | 'day_off';
  from: string; // 22:00
  until: string;
}

export interface Schedule {
  id: Id;
  name: string;
  org: OrgRef;
  version: number;
  from: Instant | null;
  until: Instant | null;
  rules: number;
  by_calendar: boolean;
  doc: { rows?: ScheduleRow[] | null; exceptions?: { date: string; windows?: { from: string; until: string }[] | null }[] | null };
}

export interface Moved {
  subject_id: Id;
  lon: number;
  lat: number;
  fix_at: Instant;
  accuracy_m: number;
  method: string;
  battery: number | null;
  state: SubjectState;
}

export type ServerMessage =
  | { type: 'hello'; pos: number; now: Instant; clock: Clock }
  | { type: 'entries'; pos: number; alerts: Alert[]; zones_changed?: boolean; subjects_changed?: boolean }
  | { type: 'positions'; items: Moved[] }
  | { type: 'beat'; now: Instant; clock: Clock; pos: number; data_at: Instant | null; lag_s?: number; degraded?: string[] | null; missing_calendars?: number[] | null; stale_sources?: string[] | null }
  | { type: 'resync' }
  | { type: 'bye'; reason: string };

/** An area that is or was away, and who could not be verified meanwhile. */
/** 程序: how an act that bears on somebody's liberty comes about. */
export interface Proceeding {
  id: Id;
  kind: string;
  subject: { id: Id; label: string };
  of?: Id;
  state: string;
  version: number;
  facts: {
    ground?: number; ground_record?: string; document_no?: string; from?: Instant; until?: Instant; device?: string; purpose?: string;
    tier?: string; days?: number; total?: number; short?: boolean; deadline?: Instant;
  };
  opened_at: Instant;
  closed_at: Instant | null;
  next: string[];
}

export interface ProceedingDetail {
  proceeding: Proceeding;
  steps: { n: number; step: string; at: Instant; recorded_at: Instant; by: string; text?: string; destination?: string }[];
  may: string[];
}

export interface Task {
  id: Id;
  kind: string;
  subject: { id: Id; label: string };
  proceeding?: Id;
  opened_at: Instant;
  due_at: Instant;
  done_at: Instant | null;
  outcome?: string;
}

/** What forms need: the rule table, the texts of notices, staff, and where somebody may be allowed to go. */
export interface LawTables {
  periods: { code: string; title: string; title_en: string; amount: number[]; unit: string; first_day: boolean; roll: boolean; inclusive: boolean; citation: string; evidence: string; from: Instant; until: Instant | null }[];
  notices: { id: Id; code: string; version: number; body: string }[];
  officers: { id: Id; name: string; kind: string }[];
  zones: { id: Id; name: string; kind: string }[];
}

/** A row of 分级处置表. */
export interface Handling {
  kind: string;
  channel: Channel;
  class: AlertClass;
  tell: string;
  day: string[];
  night: string[];
  acknowledge_s: number;
  escalate_s: number | null;
  heals: boolean;
  closing: string;
  from: Instant;
}

/** A node of the organisation, as who organises it sees it. */
export interface OrgNode {
  id: Id;
  parent: Id; // 0: none
  kind: string;
  name: string;
  short_name: string;
  code: string;
  lon: number | null;
  lat: number | null;
}

export interface Officer {
  id: Id;
  org: Id;
  name: string;
  kind: string;
  county_head: boolean; // 县级司法行政部门负责人
  juvenile_team: boolean; // 未成年社区矫正小组
}

export interface Organisation {
  orgs: OrgNode[];
  officers: Officer[];
}

/** What applies to a subject, why and until when. */
export interface Legal {
  subject: { id: Id; label: string };
  category: string;
  office: string;
  now: Instant;
  sentence: { document_no: string; from: Instant; until: Instant } | null;
  authorities: { id: Id; ground: number; document_no: string; from: Instant; until: Instant; informed_at: Instant; proceeding?: Id }[];
  proceedings: Proceeding[];
  tasks: Task[];
  orders: { id: Id; type: string; document_no: string; court: string; wording: string; from: Instant; until: Instant }[];
  sanctions: { kind: string; refused_to_report: boolean; document_no: string; organ: string; decided_at: Instant }[];
  suspensions: { id: Id; cause: string; kinds: string[]; from: Instant; until: Instant | null }[];
}

/** How a device in use is. */
export interface Device {
  id: Id;
  serial: string;
  class: string;
  model: string;
  subject: { id: Id; label: string } | null; // who it is bound to
  every_s: number;
  heard_at: Instant | null;
  battery: number | null; // per cent
  charging: boolean | null;
  strap: number;
  signal_dbm: number | null;
  operator?: string;
  skew_ms: number | null; // its clock minus ours
  missing: number;
  lost: number;
  conflicts: number;
  lost_from: Instant | null;
  enrolment: string; // enrolled, coded, none
  dies_at: Instant | null; // where its battery runs out soon
  per_hour?: number;
  concerns: string[]; // the worst first
  bound_since: Instant | null;
}

export interface Outage {
  id: Id;
  scope: 'operator' | 'town' | 'cell';
  key: string;
  name: string;
  declared: boolean;
  expected: number;
  silent: number;
  held: number;
  since: Instant;
  opened_at: Instant;
  ended_at: Instant | null;
  note?: string;
  people: { subject: { id: Id; label: string }; since: Instant; verified_at: Instant | null; how?: string; by: { id: Id; display_name: string } | null; note?: string }[];
}

export interface Named { id: Id; display_name: string }

export interface AccountRow {
  id: Id; name: string; officer: string; kind: string; org: string; org_id: Id; roles: Role[]; totp: boolean; certificates: number; must_change: boolean;
  disabled_at: Instant | null; last_login: Instant | null;
}

export interface Accounts {
  accounts: AccountRow[]; orgs: { id: Id; name: string; kind: string }[]; officers: { id: Id; org_id: Id; name: string; kind: string }[]; roles: Role[];
  policy: { profile: string; second_factor: boolean; version: number };
}

/** Something that takes two people. */
export interface Countersign {
  id: Id; kind: string; body: Record<string, unknown>; reason: string; asked_by: Named; asked_at: Instant; decided_by: Named | null; decided_at: Instant | null; agreed: boolean | null;
}

export interface Cover { id: Id; account: Named; org: { id: Id; short_name: string }; from: Instant; until: Instant; reason: string; granted_by: Named; ended_at: Instant | null; now: boolean }

export interface AuditRow { pos: number; at: Instant; written_at: Instant; kind: string; entity: string; entity_id: Id; org: string; by: Named | null; body?: Record<string, unknown>; sealed: number }

export interface AuditReport { Rows: number; Seals: number; Unsealed: number; SealedUntil: Instant; Findings: { What: string; Pos: number; Seal: number; Text: string }[] | null }

export interface Inspection { now: Instant; items: { code: string; zh: string; en: string; citation: string; missing?: string; found: { subject: { id: Id; label: string }; at: Instant; what: string }[] }[] }

export interface DataRequest {
  id: Id; subject: { id: Id; label: string }; kind: string; words: string; received_at: Instant; due_at: Instant; decision: string; exception: string; reason: string; done_at: Instant | null; outcome: string;
}

export interface Privacy {
  disclosures: { id: Id; subject: { id: Id; label: string }; basis: string; recipient_kind: string; recipient: string; document_no: string; fields: string[]; purpose: string; from: Instant; until: Instant; recorded_at: Instant }[];
  requests: DataRequest[];
  bases: { code: string; title: string; title_en: string; citation: string; recipients: string[]; positions: boolean; juveniles: boolean }[];
  exceptions: { code: string; title: string; title_en: string; citation: string }[];
}

export interface Access { id: Id; at: Instant; account: Named; subject: { id: Id; label: string }; what: string; purpose: string; alert?: Id; note?: string }

export interface Assessment { id: Id; what: string; code: string; document_no: string; assessor: string; reviewer: string; provisional: boolean; from: Instant; until: Instant | null }

export interface Retention {
  reports: { run: Id; at: Instant; erased: { subject_id: Id; what: string; action: string; before: Record<string, number>; after: Record<string, number> }[] }[]; broken: number; next: number; held: number;
}

export interface SessionRow { this: boolean; client: string; factor: string; created_at: Instant; seen_at: Instant }

export interface Who { id: Id; label: string; name: string; id_number: string; phone: string; address: string; contacts: { name: string; relation: string; phone: string }[] | null }

export interface Found { id: Id; label: string; office: string; juvenile: boolean }
