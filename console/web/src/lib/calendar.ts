// The year as months, which days are off, and a schedule's week as bars. Dates are 2026-10-01: no time, no zone.

import type { NamedDay, ScheduleRow } from '@/api/types';

const two = (n: number) => (n < 10 ? `0${n}` : String(n));

export interface YearDay {
  date: string;
  day: number; // of the month
  weekday: number; // 1 is Monday
  weekend: boolean;
}

export interface Month {
  month: number; // from 1
  lead: number; // days of the week before the first
  days: YearDay[];
}

/** The twelve months of a year. */
export function monthsOf(year: number): Month[] {
  return Array.from({ length: 12 }, (_, m) => {
    const length = new Date(Date.UTC(year, m + 1, 0)).getUTCDate();
    const days = Array.from({ length }, (_, i) => {
      const weekday = ((new Date(Date.UTC(year, m, i + 1)).getUTCDay() + 6) % 7) + 1;
      return { date: `${year}-${two(m + 1)}-${two(i + 1)}`, day: i + 1, weekday, weekend: weekday > 5 };
    });
    return { month: m + 1, lead: days[0]!.weekday - 1, days };
  });
}

/** Whether a day is off: as it is ordered, or else as its weekday says. */
export function isOff(d: YearDay, named: NamedDay | undefined): boolean {
  return named ? named.off : d.weekend;
}

/** Makes a day off a worked one, or a worked one off; what its weekday says anyway needs no entry. */
export function toggled(d: YearDay, named: NamedDay | undefined, name: string): NamedDay | undefined {
  const off = !isOff(d, named);
  return off === d.weekend ? undefined : { date: d.date, off, name: named?.name || name };
}

export interface Bar {
  day: number; // 1 is Monday
  from: number; // minutes of the day
  until: number;
  on: '' | 'workday' | 'day_off';
  tail: boolean; // what is left of a window that began the day before
}

const DAY = 24 * 60;

function minutes(hm: string): number {
  return Number(hm.slice(0, 2)) * 60 + Number(hm.slice(3, 5));
}

/** The windows of a week. One that crosses midnight belongs to the day it begins on, and goes on in the row below. */
export function barsOf(rows: ScheduleRow[]): Bar[] {
  const out: Bar[] = [];
  for (const r of rows) {
    const from = minutes(r.from), until = minutes(r.until), on = r.on ?? '';
    for (const day of r.days?.length ? r.days : [1, 2, 3, 4, 5, 6, 7]) {
      if (until > from) out.push({ day, from, until, on, tail: false });
      else {
        out.push({ day, from, until: DAY, on, tail: false });
        if (until > 0) out.push({ day: (day % 7) + 1, from: 0, until, on, tail: true });
      }
    }
  }
  return out;
}
