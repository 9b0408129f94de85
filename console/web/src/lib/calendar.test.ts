import { expect, it } from 'vitest';
import { barsOf, isOff, monthsOf, toggled } from './calendar';

it('lays out a year by Mondays (R16)', () => {
  const m = monthsOf(2028);
  expect(m.map((x) => x.days.length)).toEqual([31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]);
  expect(m[0]!.lead).toBe(5); // 1 January 2028 is a Saturday
  expect(m[0]!.days[0]).toEqual({ date: '2028-01-01', day: 1, weekday: 6, weekend: true });
  expect(m[11]!.days[30]!.date).toBe('2028-12-31');
});

it('toggles a day there and back, and keeps no entry for what the weekday says (R16)', () => {
  const [thu, , sat] = monthsOf(2026)[0]!.days; // 1, 2 and 3 January
  const holiday = toggled(thu!, undefined, '元旦');
  expect(holiday).toEqual({ date: '2026-01-01', off: true, name: '元旦' });
  expect(isOff(thu!, holiday)).toBe(true);
  expect(toggled(thu!, holiday, 'x')).toBeUndefined();
  const worked = toggled(sat!, { date: '2026-01-03', off: true, name: '元旦' }, 'x');
  expect(worked).toEqual({ date: '2026-01-03', off: false, name: '元旦' });
  expect(toggled(sat!, worked, 'x')).toBeUndefined();
});

it('draws a window that crosses midnight on both days, from Sunday to Monday too (R16)', () => {
  expect(barsOf([{ days: [7], from: '22:00', until: '06:30', on: 'day_off' }])).toEqual([
    { day: 7, from: 1320, until: 1440, on: 'day_off', tail: false },
    { day: 1, from: 0, until: 390, on: 'day_off', tail: true },
  ]);
  expect(barsOf([{ from: '00:00', until: '24:00' }])).toHaveLength(7);
  expect(barsOf([{ days: [3], from: '22:00', until: '00:00' }])).toEqual([{ day: 3, from: 1320, until: 1440, on: '', tail: false }]);
});
