import { describe, expect, it } from 'vitest';
import type { AlertDetail } from '@/api/types';
import { doubtful, exhibits, flags, quantity, scalars } from './evidence';
import { brief, weight } from './alert';

const detail = (track: unknown[], fixes: unknown[]) => ({ track, violation: { evidence: { fixes } } }) as unknown as AlertDetail;
const fix = { lon: 113.1, lat: 30.6, fix_at: '2026-11-23T14:00:00Z', accuracy_m: 12, method: 'gnss', flags: 2 };

describe('exhibits', () => {
  it('joins what was decided to the fix it was decided on', () => {
    const [e] = exhibits(detail([fix], [{ at: '2026-11-23T14:00:00.000Z', lon: 1131000000, lat: 306000000, acc_cm: 1200, method: 1, verdict: 'outside', margin_cm: 128_400 }]));
    expect(e).toMatchObject({ deciding: true, verdict: 'outside', margin_m: 1284, accuracy_m: 12, flagsList: ['impossible'] });
    expect(doubtful(e!)).toBe(true);
  });

  it('shows a deciding fix that the track no longer has, in order of time', () => {
    const all = exhibits(detail([fix], [{ at: '2026-11-23T13:00:00Z', lon: 1130000000, lat: 305000000, acc_cm: 900, method: 3 }]));
    expect(all.map((e) => [e.fix_at.slice(11, 13), e.deciding, e.method, e.lon])).toEqual([['13', true, 'cell', 113], ['14', false, 'gnss', 113.1]]);
  });

  it('stands without evidence and without a track', () => {
    expect(exhibits({ track: [], violation: null } as unknown as AlertDetail)).toEqual([]);
  });
});

it('reads flags as bits and as names', () => {
  expect(flags(0b11001)).toEqual(['out_of_order', 'late', 'answer']);
  expect(flags(['late'])).toEqual(['late']);
  expect(flags(32)).toEqual(['frozen']);
  expect(flags(null)).toEqual([]);
});

it('shows values in the unit of their name', () => {
  const words = { seconds: (n: number) => `${n}s`, metres: (n: number) => `${n}m`, kmh: 'km/h' };
  const doc = { grace_s: 120, band_m: 50, fastest_plausible_mps: 83, count: 2, at: '2026-11-23T14:00:00Z', fixes: [], empty: '', engine: 'x' };
  expect(scalars(doc, ['engine']).map((v) => quantity(v, words))).toEqual(['120s', '50m', '299 km/h', '2', '2026-11-23 22:00:00']);
});

it('says the sentence without its label and its basis', () => {
  const label = '李某某·岳口·0417';
  expect(brief(`${label} 22:14 离开天门市，仙桃方向 1.3 公里。依据：《社区矫正法》第二十七条`, label)).toBe('22:14 离开天门市，仙桃方向 1.3 公里');
  expect(brief('Left Tianmen. Basis: law', 'x')).toBe('Left Tianmen');
  expect(weight({ class: 'alarm', state: 'acknowledged' })).toBe('handled');
});
