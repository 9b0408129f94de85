// One way to the server: JSON both ways, the session in a cookie, the token against forged requests in a header.

import type { Access, Accounts, Assessment, AuditReport, AuditRow, Countersign, Cover, Found, Handling, Inspection, Privacy, Retention, SessionRow, Who, LawTables, Legal, Officer, Organisation, OrgNode, Proceeding, ProceedingDetail, Task, Device, AlertDetail, AccountingRow, AlertPage, Calendar, DeviceGaps, Source, Id, Me, Schedule, Snapshot, Summary, Track, Outage } from './types';

/** What went wrong, in words the catalogues know. status 0: the server was not reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly field = '',
    readonly detail: Record<string, unknown> = {},
  ) {
    super(code);
  }
}

let csrf = '';
let onSignedOut: () => void = () => {};
let onStepUp: (by: string) => Promise<boolean> = () => Promise.resolve(false);

export function setCsrf(token: string): void {
  csrf = token;
}

/** Called whenever the server says that the session is over. */
export function whenSignedOut(f: () => void): void {
  onSignedOut = f;
}

/** Called where somebody has to prove once more who they are; true when they did. */
export function whenStepUp(f: (by: string) => Promise<boolean>): void {
  onStepUp = f;
}

async function request<T>(method: string, path: string, body?: unknown, signal?: AbortSignal, again = false): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (method !== 'GET' && csrf) headers['X-CSRF-Token'] = csrf;
  let res: Response;
  try {
    res = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: 'same-origin',
      cache: 'no-store',
      signal,
    });
  } catch (err) {
    if (signal?.aborted) throw err;
    throw new ApiError(0, 'unreachable');
  }
  if (res.ok) {
    if (res.status === 204) return undefined as T;
    return (res.headers.get('Content-Type')?.startsWith('application/json') ? await res.json() : await res.blob()) as T;
  }
  const answer = (await res.json().catch(() => null)) as { error?: { code?: string; field?: string; detail?: Record<string, unknown> } } | null;
  const e = answer?.error;
  const error = new ApiError(res.status, e?.code ?? `http_${res.status}`, e?.field ?? '', e?.detail ?? {});
  if (res.status === 401 && path !== '/api/login') onSignedOut();
  if (error.code === 'step_up' && !again && (await onStepUp(String(error.detail.by ?? 'password')))) return request<T>(method, path, body, signal, true);
  throw error;
}

const get = <T>(path: string, signal?: AbortSignal) => request<T>('GET', path, undefined, signal);
const put = <T>(path: string, body: unknown) => request<T>('PUT', path, body);
const post = <T>(path: string, body: unknown = {}) => request<T>('POST', path, body);

function query(params: Record<string, string | number | undefined>): string {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(params)) if (v !== undefined && v !== '') q.set(k, String(v));
  const s = q.toString();
  return s ? `?${s}` : '';
}

export interface AlertFilter {
  state?: string;
  class?: string;
  org?: string | number;
  before?: string;
  limit?: number;
}

export const api = {
  login: (name: string, password: string, code = '') => post<Me>('/api/login', { name, password, code }),
  loginWays: () => get<{ single_sign_on: string }>('/api/login'),
  stepUp: (body: { password?: string; code?: string }) => post<void>('/api/me/step-up', body),
  changePassword: (old: string, fresh: string) => put<Me>('/api/me/password', { old, new: fresh }),
  offerTOTP: () => post<{ secret: string; uri: string; picture: string; offer: string }>('/api/me/totp'),
  confirmTOTP: (offer: string, code: string) => put<Me>('/api/me/totp', { offer, code }),
  sessions: () => get<{ sessions: SessionRow[] }>('/api/me/sessions'),
  endOtherSessions: () => post<{ sessions: SessionRow[] }>('/api/me/sessions/end'),
  accounts: () => get<Accounts>('/api/accounts'),
  account: (id: Id, act: 'disable' | 'enable') => post<Accounts>(`/api/accounts/${id}/${act}`),
  resetAccount: (id: Id) => post<{ password: string }>(`/api/accounts/${id}/reset`),
  askGrant: (body: Record<string, unknown>) => post<{ countersigns: Countersign[] }>('/api/grants', body),
  askPolicy: (body: Record<string, unknown>) => post<{ countersigns: Countersign[] }>('/api/policy', body),
  askExport: (body: Record<string, unknown>) => post<{ countersigns: Countersign[] }>('/api/exports', body),
  fetchExport: (id: Id) => get<Blob>(`/api/exports/${id}`),
  countersigns: () => get<{ countersigns: Countersign[] }>('/api/countersigns'),
  countersign: (id: Id, agree: boolean) => post<{ countersigns: Countersign[]; password: string }>(`/api/countersigns/${id}`, { agree }),
  cover: () => get<{ covers: Cover[]; accounts: { id: Id; display_name: string }[] }>('/api/cover'),
  grantCover: (body: Record<string, unknown>) => post<{ covers: Cover[]; accounts: { id: Id; display_name: string }[] }>('/api/cover', body),
  endCover: (id: Id) => post<{ covers: Cover[]; accounts: { id: Id; display_name: string }[] }>(`/api/cover/${id}/end`),
  audit: (f: { kind?: string; before?: number; from?: string; until?: string }) => get<{ rows: AuditRow[] }>(`/api/audit${query({ ...f })}`),
  verifyAudit: () => post<AuditReport>('/api/audit/verify'),
  inspection: () => get<Inspection>('/api/inspection'),
  privacy: () => get<Privacy>('/api/privacy'),
  disclose: (subject: Id, body: Record<string, unknown>) => post<Privacy>(`/api/subjects/${subject}/disclosures`, body),
  receiveRequest: (subject: Id, body: Record<string, unknown>) => post<Privacy>(`/api/subjects/${subject}/requests`, body),
  answerRequest: (id: Id, body: Record<string, unknown>) => post<Privacy>(`/api/requests/${id}`, body),
  access: () => get<{ accesses: Access[] }>('/api/access'),
  assessments: () => get<{ assessments: Assessment[] }>('/api/assessments'),
  retention: () => get<Retention>('/api/retention'),
  find: (text: string) => post<{ subjects: Found[] }>('/api/subjects/find', { text }),
  who: (id: Id, purpose: string, note: string) => post<Who>(`/api/subjects/${id}/person`, { purpose, note }),
  evidence: (alert: Id, purpose: string, note: string) => post<Blob>(`/api/alerts/${alert}/evidence`, { purpose, note }),
  logout: () => post<void>('/api/logout'),
  me: () => get<Me>('/api/me'),
  snapshot: () => get<Snapshot>('/api/snapshot'),
  summary: () => get<Summary>('/api/summary'),
  alerts: (f: AlertFilter, signal?: AbortSignal) => get<AlertPage>(`/api/alerts${query({ ...f })}`, signal),
  alert: (id: Id, signal?: AbortSignal) => get<AlertDetail>(`/api/alerts/${id}`, signal),
  acknowledge: (id: Id, version: number) => post<AlertDetail>(`/api/alerts/${id}/acknowledge`, { version }),
  note: (id: Id, text: string) => post<AlertDetail>(`/api/alerts/${id}/note`, { text }),
  attachment: (id: Id, body: { what: string; how: string; note: string }) => post<AlertDetail>(`/api/alerts/${id}/attachment`, body),
  close: (id: Id, body: { version: number; conclusion: string; text: string; follow_up_on?: string }) =>
    post<AlertDetail>(`/api/alerts/${id}/close`, body),
  /** Whoever holds no alert about the subject has to say what the track is needed for; the server asks with field purpose. */
  track: (id: Id, from: string, until: string, purpose: string, signal?: AbortSignal) =>
    get<Track>(`/api/subjects/${id}/track${query({ from, until, purpose })}`, signal),
  calendars: () => get<{ years: number[]; missing: number[]; may_edit: boolean }>('/api/calendar'),
  calendar: (year: number) => get<Calendar>(`/api/calendar/${year}`),
  putCalendar: (year: number, body: Pick<Calendar, 'source' | 'official' | 'recorded_at' | 'days'>) => put<Calendar>(`/api/calendar/${year}`, body),
  /** What a file says; nothing is recorded. */
  readCalendar: (text: string) => post<Calendar>('/api/calendar/read', { text }),
  schedules: () => get<{ schedules: Schedule[] }>('/api/schedules'),
  legal: (subject: Id) => get<Legal>(`/api/subjects/${subject}/legal`),
  record: (subject: Id, what: string, body: Record<string, unknown>) => post<Legal>(`/api/subjects/${subject}/${what}`, body),
  organisation: () => get<Organisation>('/api/organisation'),
  putOrg: (o: OrgNode) => post<Organisation>('/api/orgs', o),
  putOfficer: (o: Officer) => post<Organisation>('/api/officers', o),
  handling: () => get<{ handling: Handling[] }>('/api/handling'),
  periods: () => get<LawTables>('/api/periods'),
  proceedings: () => get<{ proceedings: Proceeding[]; tasks: Task[] }>('/api/proceedings'),
  proceeding: (id: Id) => get<ProceedingDetail>(`/api/proceedings/${id}`),
  openProceeding: (subject: Id, body: { kind: string; of: Id; step: Record<string, unknown> }) => post<ProceedingDetail>(`/api/subjects/${subject}/proceedings`, body),
  takeStep: (id: Id, step: Record<string, unknown>) => post<ProceedingDetail>(`/api/proceedings/${id}/steps`, step),
  finishTask: (id: Id, outcome: string) => post<{ proceedings: Proceeding[]; tasks: Task[] }>(`/api/tasks/${id}/done`, { outcome }),
  devices: () => get<{ devices: Device[]; concerns: { concern: string; n: number }[] }>('/api/devices'),
  outages: () => get<{ outages: Outage[] }>('/api/outages'),
  declareOutage: (body: { scope: string; key: string; note: string }) => post<{ outages: Outage[] }>('/api/outages', body),
  endOutage: (id: Id) => post<{ outages: Outage[] }>(`/api/outages/${id}/end`, {}),
  verifyOutage: (id: Id, subject: Id, note: string) => post<{ outages: Outage[] }>(`/api/outages/${id}/people/${subject}/verify`, { note }),
  accounting: () => get<{ rows: AccountingRow[]; gaps: DeviceGaps; sources: Source[] }>('/api/accounting'),
};
