// What the wall knows, and how the stream changes it. Pure of network and clock: the same messages give the same board.

import type { Alert, Moved, Org, Snapshot, Subject, Zone } from '@/api/types';

export interface Board {
  pos: number; // ledger position up to which everything is in; -1: nothing yet
  subjects: Map<number, Subject>;
  alerts: Map<number, Alert>; // those not closed
  done: Map<number, number>; // closed while we looked: alert and version, so that an older version does not come back
  zones: Zone[];
  orgs: Org[];
}

export function emptyBoard(): Board {
  return { pos: -1, subjects: new Map(), alerts: new Map(), done: new Map(), zones: [], orgs: [] };
}

/** What a message changed that a person may have to hear of. */
export interface Change {
  raised: Alert[]; // not known before, and still to be handled
  changed: Alert[]; // known, newer version
  closed: Alert[]; // no longer open
}

const nothing = (): Change => ({ raised: [], changed: [], closed: [] });

/** Takes one alert in. An older or equal version than the one known changes nothing, however often it comes. */
function take(board: Board, alert: Alert, change: Change): void {
  const known = board.alerts.get(alert.id);
  if ((known?.version ?? board.done.get(alert.id) ?? -1) >= alert.version) return;
  if (alert.state === 'closed') {
    board.done.set(alert.id, alert.version);
    if (board.alerts.delete(alert.id)) change.closed.push(alert);
    return;
  }
  board.alerts.set(alert.id, alert);
  (known ? change.changed : change.raised).push(alert);
}

/**
 * Takes a whole snapshot in. On a board that already knew something the difference is told, so that an alert raised
 * while nobody listened still rings. A snapshot older than the board is refused.
 */
export function load(board: Board, s: Snapshot): Change {
  const change = nothing();
  if (s.pos < board.pos) return change;
  const still = new Set(s.alerts.map((a) => a.id));
  for (const [id, alert] of board.alerts) {
    if (!still.has(id)) {
      board.alerts.delete(id);
      change.closed.push({ ...alert, state: 'closed' });
    }
  }
  for (const alert of s.alerts) take(board, alert, change);
  board.subjects.clear();
  for (const subject of s.subjects) board.subjects.set(subject.id, subject);
  board.zones = s.zones;
  board.orgs = s.orgs;
  board.pos = s.pos;
  return change;
}

/** Takes the entries after the board's position in. Entries up to it were here before: a duplicate, without effect. */
export function append(board: Board, pos: number, alerts: Alert[]): Change {
  const change = nothing();
  if (pos <= board.pos) return change;
  for (const alert of alerts) take(board, alert, change);
  board.pos = pos;
  return change;
}

/** Takes in the answer to an act of one's own, before the stream tells of it; the stream's copy then is a duplicate. */
export function put(board: Board, alert: Alert): void {
  take(board, alert, nothing());
}

/** Moves subjects; true when one is not on the board, which then is due for a new snapshot. An older fix moves nothing. */
export function move(board: Board, items: Moved[]): boolean {
  let stranger = false;
  for (const m of items) {
    const s = board.subjects.get(m.subject_id);
    if (!s) {
      stranger = true;
      continue;
    }
    const older = s.position && Date.parse(s.position.fix_at) > Date.parse(m.fix_at);
    const position = older ? s.position : {
      lon: m.lon, lat: m.lat, fix_at: m.fix_at, accuracy_m: m.accuracy_m, method: m.method, battery: m.battery,
    };
    board.subjects.set(s.id, { ...s, position, state: m.state });
  }
  return stranger;
}

const RANK = { alarm: 0, reminder: 1, lead: 2 } as const;

/** The one scale of urgency: to be taken charge of before taken charge of, class, then the moment it is due. */
export function byUrgency(a: Alert, b: Alert): number {
  const open = Number(a.state !== 'open') - Number(b.state !== 'open');
  if (open !== 0) return open;
  return RANK[a.class] - RANK[b.class] || Date.parse(a.due_at) - Date.parse(b.due_at) || a.id - b.id;
}
