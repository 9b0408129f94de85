// Which alert sounds like what. Sound says the class; the class says what it wants of a person.

import type { Alert, AlertClass } from '@/api/types';

export type Tone = AlertClass;

/** Kinds that are about the device. Whatever class a table gives them, they never sound like a breach (R49). */
const DEVICE_ONLY = new Set(['low_battery', 'power_lost', 'device_silent', 'location_lost']);

/** The tone of an alert; null: it makes no sound. What comes from backlog goes to review, not to the siren (R36). */
export function toneOf(a: Pick<Alert, 'class' | 'kind' | 'review' | 'state' | 'outage_id'>): Tone | null {
  if (a.review || a.state !== 'open' || a.outage_id) return null;
  if (a.class === 'alarm' && DEVICE_ONLY.has(a.kind)) return 'reminder';
  return a.class;
}

const ORDER: Tone[] = ['alarm', 'reminder', 'lead'];

/** Of several at once only the most urgent is heard. */
export function loudest(tones: (Tone | null)[]): Tone | null {
  for (const t of ORDER) if (tones.includes(t)) return t;
  return null;
}

/** An alarm nobody took charge of is heard again this often, ms. */
export const REPEAT_MS = 20_000;
