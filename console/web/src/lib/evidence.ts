// The fixes around an alert with what was made of each, out of the track and of the violation's own evidence.

import type { AlertDetail, Fix } from '@/api/types';
import { dateTimeText, ms } from './time';

/** A fix as evidence: deciding ones are those the violation rests on. */
export interface Exhibit extends Fix {
  deciding: boolean;
  flagsList: string[];
}

const METHODS = ['', 'gnss', 'wifi', 'cell', 'rf'];
const FLAGS = ['out_of_order', 'impossible', 'skewed', 'late', 'answer', 'frozen', 'detached'];
const STILL = new Set(['out_of_order', 'impossible', 'skewed', 'frozen', 'detached']);

const num = (v: unknown): number | null => (typeof v === 'number' && Number.isFinite(v) ? v : null);
const degrees = (v: number) => (Math.abs(v) > 360 ? v / 1e7 : v);
const method = (v: unknown): string => (typeof v === 'number' ? METHODS[v] ?? String(v) : typeof v === 'string' ? v : 'unknown');

/** Names of the flags of a fix, as bits or as a list. */
export function flags(v: Fix['flags']): string[] {
  if (Array.isArray(v)) return v;
  return typeof v === 'number' ? FLAGS.filter((_, i) => (v >> i) & 1) : [];
}

/** A fix out of the violation's evidence: stored in 1e-7 degrees and centimetres. */
function deciding(raw: Record<string, unknown>): Exhibit | null {
  const lon = num(raw.lon), lat = num(raw.lat), at = raw.at ?? raw.fix_at;
  if (lon === null || lat === null || typeof at !== 'string') return null;
  const acc = num(raw.accuracy_m) ?? (num(raw.acc_cm) === null ? null : num(raw.acc_cm)! / 100);
  const margin = num(raw.margin_m) ?? (num(raw.margin_cm) === null ? null : num(raw.margin_cm)! / 100);
  return {
    lon: degrees(lon), lat: degrees(lat), fix_at: at, accuracy_m: acc, method: method(raw.method),
    verdict: typeof raw.verdict === 'string' ? raw.verdict : null, margin_m: margin, deciding: true, flagsList: [],
  };
}

/** All fixes in order of time; a deciding one carries the verdict and the margin it was decided with. */
export function exhibits(a: AlertDetail): Exhibit[] {
  const list = a.violation?.evidence?.fixes;
  const decided = (Array.isArray(list) ? list : []).flatMap((f) => deciding(f as Record<string, unknown>) ?? []);
  const same = (x: Fix, y: Fix) => ms(x.fix_at) === ms(y.fix_at) && Math.abs(x.lon - y.lon) < 1e-6 && Math.abs(x.lat - y.lat) < 1e-6;
  const out: Exhibit[] = a.track.map((f) => {
    const d = decided.find((x) => same(x, f));
    return {
      ...f, method: method(f.method), flagsList: flags(f.flags), deciding: d !== undefined,
      verdict: d?.verdict ?? f.verdict ?? null, margin_m: d?.margin_m ?? f.margin_m ?? null,
    };
  });
  for (const d of decided) if (!out.some((x) => same(x, d))) out.push(d);
  return out.sort((x, y) => ms(x.fix_at) - ms(y.fix_at));
}

/** Flags of fixes that are kept and move nothing. */
export const doubtful = (e: Exhibit): boolean => e.flagsList.some((f) => STILL.has(f));

export interface Named {
  name: string; // key of the catalogue's param list
  value: number | string | boolean;
}

/** The scalar entries of a document, to be shown by name. */
export function scalars(doc: Record<string, unknown> | null | undefined, without: string[] = []): Named[] {
  return Object.entries(doc ?? {})
    .filter(([k, v]) => !without.includes(k) && (typeof v === 'number' || typeof v === 'string' || typeof v === 'boolean') && v !== '')
    .map(([name, value]) => ({ name, value: value as Named['value'] }));
}

/** A value in the unit its name ends in. */
export function quantity(v: Named, words: { seconds: (n: number) => string; metres: (n: number) => string; kmh: string }): string {
  if (typeof v.value === 'number') {
    if (v.name.endsWith('_s')) return words.seconds(v.value);
    if (v.name.endsWith('_m')) return words.metres(v.value);
    if (v.name.endsWith('_mps')) return `${Math.round(v.value * 3.6)} ${words.kmh}`;
    return String(v.value);
  }
  if (typeof v.value === 'string' && /^\d{4}-\d\d-\d\dT/.test(v.value)) return dateTimeText(ms(v.value));
  return String(v.value);
}
