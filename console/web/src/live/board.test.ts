import { describe, expect, it } from 'vitest';
import type { Alert, Snapshot, Subject } from '@/api/types';
import { append, byUrgency, emptyBoard, load, move, put } from './board';

const alert = (id: number, version: number, over: Partial<Alert> = {}): Alert => ({
  id, version, subject: { id, label: `李某某·岳口·${id}` }, org: { id: 3, short_name: '岳口' }, kind: 'left_zone',
  channel: 'wristband', class: 'alarm', state: 'open', opened_at: '2026-11-23T14:00:00Z', raised_at: '2026-11-23T14:02:00Z',
  due_at: '2026-11-23T14:07:00Z', with: ['office'], escalates_at: null, review: false, violation_state: 'open', acknowledged_by: null, acknowledged_at: null,
  closed_by: null, closed_at: null, conclusion: null, follow_up_on: null,
  legal_basis: { code: 'leave_city', title: '', title_en: '', citation: '' }, sentence: { zh: '', en: '' }, position: null, ...over,
});
const subject = (id: number): Subject => ({
  id, label: String(id), office: { id: 3, short_name: '岳口' }, channel: 'phone', state: 'ok',
  position: { lon: 113, lat: 30, fix_at: '2026-11-23T14:00:00Z', accuracy_m: 5, method: 'gnss', battery: 80 },
});
const snapshot = (pos: number, alerts: Alert[], subjects: Subject[] = []): Snapshot => ({
  pos, alerts, subjects, now: '2026-11-23T14:10:00Z', clock: { now: '', kind: 'machine' }, zones: [], orgs: [],
  summary: {} as Snapshot['summary'],
});
const ids = (alerts: Alert[]) => alerts.map((a) => a.id);

describe('append', () => {
  it('raises what is new, once', () => {
    const b = emptyBoard();
    load(b, snapshot(10, []));
    expect(ids(append(b, 11, [alert(1, 1)]).raised)).toEqual([1]);
    expect(append(b, 11, [alert(1, 1)])).toEqual({ raised: [], changed: [], closed: [] });
    expect(b.pos).toBe(11);
  });

  it('takes entries it had before as duplicates, whatever is in them', () => {
    const b = emptyBoard();
    load(b, snapshot(10, [alert(1, 2)]));
    expect(append(b, 9, [alert(1, 9), alert(2, 1)])).toEqual({ raised: [], changed: [], closed: [] });
    expect(b.alerts.get(1)!.version).toBe(2);
    expect(b.pos).toBe(10);
  });

  it('never goes back to an older version', () => {
    const b = emptyBoard();
    load(b, snapshot(10, [alert(1, 3)]));
    append(b, 12, [alert(1, 2)]);
    expect(b.alerts.get(1)!.version).toBe(3);
  });

  it('closes, and does not open again what was closed', () => {
    const b = emptyBoard();
    load(b, snapshot(10, [alert(1, 1)]));
    expect(ids(append(b, 12, [alert(1, 3, { state: 'closed' })]).closed)).toEqual([1]);
    expect(append(b, 13, [alert(1, 2)]).raised).toEqual([]);
    expect(b.alerts.size).toBe(0);
  });

  it('keeps the order of what it missed', () => {
    const b = emptyBoard();
    load(b, snapshot(10, []));
    const c = append(b, 40, [alert(5, 1), alert(4, 1), alert(5, 2), alert(6, 1)]);
    expect(ids(c.raised)).toEqual([5, 4, 6]);
    expect(ids(c.changed)).toEqual([5]);
  });

  it('counts an act of our own only once', () => {
    const b = emptyBoard();
    load(b, snapshot(10, [alert(1, 1)]));
    put(b, alert(1, 2, { state: 'acknowledged' }));
    expect(append(b, 11, [alert(1, 2, { state: 'acknowledged' })]).changed).toEqual([]);
    put(b, alert(1, 3, { state: 'closed' }));
    expect(append(b, 12, [alert(1, 3, { state: 'closed' })]).closed).toEqual([]);
    expect(b.alerts.size).toBe(0);
  });
});

describe('load', () => {
  it('tells the difference after a resync', () => {
    const b = emptyBoard();
    load(b, snapshot(10, [alert(1, 1), alert(2, 1)]));
    b.pos = -1; // resync: whatever comes is right
    const c = load(b, snapshot(90, [alert(2, 2), alert(3, 1)]));
    expect([ids(c.raised), ids(c.changed), ids(c.closed)]).toEqual([[3], [2], [1]]);
    expect([...b.alerts.keys()].sort()).toEqual([2, 3]);
  });

  it('refuses a snapshot older than the board', () => {
    const b = emptyBoard();
    load(b, snapshot(10, []));
    append(b, 20, [alert(1, 1)]);
    load(b, snapshot(15, []));
    expect(b.alerts.has(1)).toBe(true);
    expect(b.pos).toBe(20);
  });

  it('drops entries the snapshot already held', () => {
    const b = emptyBoard();
    load(b, snapshot(30, [alert(1, 2, { state: 'acknowledged' })]));
    expect(append(b, 30, [alert(1, 1)]).raised).toEqual([]);
    expect(b.alerts.get(1)!.state).toBe('acknowledged');
  });
});

describe('move', () => {
  const moved = { subject_id: 1, lon: 113.1, lat: 30.1, fix_at: '2026-11-23T14:05:00Z', accuracy_m: 9, method: 'cell', battery: 79, state: 'out' as const };

  it('moves a subject and says when one is unknown', () => {
    const b = emptyBoard();
    load(b, snapshot(1, [], [subject(1)]));
    expect(move(b, [moved])).toBe(false);
    expect(b.subjects.get(1)).toMatchObject({ state: 'out', position: { lon: 113.1, method: 'cell' } });
    expect(move(b, [{ ...moved, subject_id: 7 }])).toBe(true);
  });

  it('does not go back in time, but takes the state', () => {
    const b = emptyBoard();
    load(b, snapshot(1, [], [subject(1)]));
    move(b, [{ ...moved, fix_at: '2026-11-23T13:00:00Z', state: 'silent' }]);
    expect(b.subjects.get(1)).toMatchObject({ state: 'silent', position: { lon: 113 } });
  });
});

it('orders by urgency: to be taken, class, due', () => {
  const list = [
    alert(1, 1, { state: 'acknowledged' }),
    alert(2, 1, { class: 'lead', due_at: '2026-11-23T14:00:00Z' }),
    alert(3, 1, { class: 'reminder' }),
    alert(4, 1, { due_at: '2026-11-23T15:00:00Z' }),
    alert(5, 1),
  ];
  expect(ids([...list].sort(byUrgency))).toEqual([5, 4, 3, 2, 1]);
});
