// Instants as people read them. China has one time and has kept no daylight saving since 1991: UTC+8, whatever the
// browser believes about its zone.

const OFFSET = 8 * 3600_000;
const two = (n: number) => (n < 10 ? `0${n}` : String(n));

export interface Civil {
  year: number;
  month: number;
  day: number;
  weekday: number; // 0 is Sunday
  hour: number;
  minute: number;
  second: number;
}

/** Milliseconds of an RFC 3339 instant; NaN for none. */
export function ms(instant: string | null | undefined): number {
  return instant ? Date.parse(instant) : NaN;
}

export function civil(t: number): Civil {
  const d = new Date(t + OFFSET);
  return {
    year: d.getUTCFullYear(),
    month: d.getUTCMonth() + 1,
    day: d.getUTCDate(),
    weekday: d.getUTCDay(),
    hour: d.getUTCHours(),
    minute: d.getUTCMinutes(),
    second: d.getUTCSeconds(),
  };
}

export function dateText(t: number): string {
  const c = civil(t);
  return `${c.year}-${two(c.month)}-${two(c.day)}`;
}

export function timeText(t: number): string {
  const c = civil(t);
  return `${two(c.hour)}:${two(c.minute)}:${two(c.second)}`;
}

export function dateTimeText(t: number): string {
  return Number.isFinite(t) ? `${dateText(t)} ${timeText(t)}` : '–';
}

/** 22:14 on the day of now, 11-22 22:14 in its year, else the whole date. */
export function shortText(t: number, now: number): string {
  if (!Number.isFinite(t)) return '–';
  const c = civil(t), n = civil(now);
  const hm = `${two(c.hour)}:${two(c.minute)}`;
  if (c.year !== n.year) return `${dateText(t)} ${hm}`;
  if (c.month !== n.month || c.day !== n.day) return `${two(c.month)}-${two(c.day)} ${hm}`;
  return hm;
}

export interface Countdown {
  text: string; // 02:31, 1:02:31, 2 d as 50:02:31
  overdue: boolean;
}

/** What is left of left milliseconds; overdue counts up from the moment that was missed. */
export function countdown(left: number): Countdown {
  const overdue = left < 0;
  const s = overdue ? Math.floor(-left / 1000) : Math.ceil(left / 1000);
  const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
  return { text: h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${two(m)}:${two(s % 60)}`, overdue };
}

export type AgeUnit = 's' | 'min' | 'h' | 'd';

/** An age in its coarsest useful unit; what is to come counts as now. */
export function age(milliseconds: number): { n: number; unit: AgeUnit } {
  const s = Math.max(0, Math.floor(milliseconds / 1000));
  if (s < 90) return { n: s, unit: 's' };
  if (s < 90 * 60) return { n: Math.floor(s / 60), unit: 'min' };
  if (s < 48 * 3600) return { n: Math.floor(s / 3600), unit: 'h' };
  return { n: Math.floor(s / 86400), unit: 'd' };
}

/** Domain time, told once a second by the server, carried on in between. */
export class DomainClock {
  private at = NaN;
  private heard = 0;
  private rate = 1;

  /** Sets the clock to what the server said at machine moment heard (a monotonic clock's milliseconds). */
  set(now: string, kind: string, rate: number | null | undefined, heard: number): void {
    this.at = Date.parse(now);
    this.heard = heard;
    this.rate = kind === 'stepped' ? 0 : kind === 'scaled' ? (rate ?? 1) : 1;
  }

  now(machine: number): number {
    return this.at + (machine - this.heard) * this.rate;
  }
}
