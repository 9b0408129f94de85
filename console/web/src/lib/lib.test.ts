import { describe, expect, it } from 'vitest';
import { circle, contains, distance, gapLimit, pieces } from './geo';
import { integer, lonLat, metres, percent } from './format';
import { age, countdown, dateTimeText, DomainClock, shortText } from './time';

describe('time', () => {
  const t = Date.parse('2026-11-23T16:30:05Z');

  it.each([
    ['Shanghai, across midnight', dateTimeText(t), '2026-11-24 00:30:05'],
    ['no instant', dateTimeText(NaN), '–'],
    ['the same day', shortText(t, t + 3600_000), '00:30'],
    ['another day', shortText(t, t - 3600_000), '11-24 00:30'],
    ['another year', shortText(t, Date.parse('2027-01-02T00:00:00Z')), '2026-11-24 00:30'],
  ])('%s', (_, got, want) => expect(got).toBe(want));

  it.each([
    [151_000, '02:31', false],
    [150_001, '02:31', false],
    [0, '00:00', false],
    [-1000, '00:01', true],
    [3_661_000, '1:01:01', false],
    [-90_000_000, '25:00:00', true],
  ])('countdown of %d', (left, text, overdue) => expect(countdown(left)).toEqual({ text, overdue }));

  it.each([
    [-5000, 0, 's'],
    [2000, 2, 's'],
    [89_999, 89, 's'],
    [90_000, 1, 'min'],
    [5_400_000, 1, 'h'],
    [172_800_000, 2, 'd'],
  ])('age of %d', (d, n, unit) => expect(age(d)).toEqual({ n, unit }));

  it('carries domain time on at its rate', () => {
    const c = new DomainClock();
    c.set('2026-11-23T14:00:00Z', 'scaled', 60, 1000);
    expect(c.now(2000)).toBe(Date.parse('2026-11-23T14:01:00Z'));
    c.set('2026-11-23T14:00:00Z', 'stepped', null, 1000);
    expect(c.now(9000)).toBe(Date.parse('2026-11-23T14:00:00Z'));
    c.set('2026-11-23T14:00:00Z', 'machine', null, 1000);
    expect(c.now(2000)).toBe(Date.parse('2026-11-23T14:00:01Z'));
  });
});

describe('format', () => {
  const u = { m: '米', km: '公里' };
  it.each([
    [1284, '1.3 公里'], [-1284, '-1.3 公里'], [850.4, '850 米'], [3.14, '3.1 米'], [0, '0 米'], [12_345, '12 公里'], [null, '–'], [NaN, '–'],
  ])('%s metres', (m, want) => expect(metres(m, u)).toBe(want));
  it('others', () => {
    expect(lonLat(113.1612345, 30.65)).toBe('30.65000, 113.16123');
    expect(percent(571, 588)).toBe('97%');
    expect(percent(0, 0)).toBe('–');
    expect(integer(1234567)).toBe('1\u2009234\u2009567');
  });
});

describe('geo', () => {
  it('measures and draws metres', () => {
    expect(distance([113, 30], [113, 31])).toBeCloseTo(111_195, -1);
    for (const p of circle([113.16, 30.65], 500)) expect(distance([113.16, 30.65], p)).toBeCloseTo(500, 0);
  });

  it('knows inside, holes and outside', () => {
    const sq = (a: number, b: number) => [[a, a], [b, a], [b, b], [a, b], [a, a]];
    const g = { type: 'Polygon' as const, coordinates: [sq(0, 10), sq(4, 6)] };
    expect([contains(g, [1, 1]), contains(g, [5, 5]), contains(g, [11, 1])]).toEqual([true, false, false]);
  });

  it('cuts a track where it is silent', () => {
    const at = (min: number) => ({ fix_at: new Date(Date.UTC(2026, 10, 23) + min * 60_000).toISOString() });
    const track = [0, 1, 2, 3, 40, 41, 42].map(at);
    expect(pieces(track).map((p) => p.length)).toEqual([4, 3]);
    expect(gapLimit([0, 60_000, 120_000])).toBe(300_000);
    expect(pieces([])).toEqual([]);
  });
});
