import { expect, it } from 'vitest';
import { loudest, toneOf } from './policy';

const a = { class: 'alarm', kind: 'left_zone', review: false, state: 'open' } as const;

it.each([
  ['a breach', a, 'alarm'],
  ['a low battery, whatever the table says', { ...a, kind: 'low_battery' }, 'reminder'],
  ['a lead', { ...a, class: 'lead' as const }, 'lead'],
  ['backlog', { ...a, review: true }, null],
  ['under an area that is away', { ...a, class: 'reminder' as const, outage_id: 1 }, null],
  ['taken charge of', { ...a, state: 'acknowledged' as const }, null],
])('%s', (_, alert, want) => expect(toneOf(alert)).toBe(want));

it('lets only the most urgent be heard', () => {
  expect(loudest(['lead', null, 'alarm', 'reminder'])).toBe('alarm');
  expect(loudest([null])).toBeNull();
});
