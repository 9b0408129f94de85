import { expect, it } from 'vitest';
import en from './en';
import zh from './zh-CN';

function leaves(o: object, at = ''): [string, string][] {
  return Object.entries(o).flatMap(([k, v]) => (typeof v === 'string' ? [[`${at}${k}`, v] as [string, string]] : leaves(v as object, `${at}${k}.`)));
}
const places = (s: string) => [...s.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort();

it('has the same keys and the same placeholders in both languages', () => {
  const a = leaves(zh), b = new Map(leaves(en));
  expect([...b.keys()].sort()).toEqual(a.map(([k]) => k).sort());
  for (const [k, v] of a) {
    expect(v, k).not.toBe('');
    expect(places(b.get(k)!), k).toEqual(places(v));
  }
});

it('uses none of the words that mean something else here', () => {
  for (const [k, v] of leaves(zh)) expect(v, k).not.toMatch(/违规|失联|告警|服刑/);
});

it('has no sign that the message syntax would take for itself', () => {
  for (const [k, v] of [...leaves(zh), ...leaves(en)]) expect(v, k).not.toMatch(/[@|]/);
});
