// What a step of a proceeding asks for, and which periods of the rule table stand beside it.

import { civil } from './time';

export type Field = 'ground' | 'ground_record' | 'text' | 'members' | 'opinion' | 'document_no' | 'from' | 'until' | 'notice_text' | 'device' | 'purpose' | 'zones' | 'destination' | 'deadline' | 'at';

const LEAVE: Field[] = ['purpose', 'from', 'until', 'zones', 'destination', 'text'];

/** The fields of a step, in the order in which they are filled in. */
export function fieldsOf(kind: string, step: string): Field[] {
  switch (step) {
    case 'proposed':
      return kind === 'use' ? ['ground', 'ground_record', 'text'] : ['text'];
    case 'deliberated':
      return ['members', 'opinion', 'text'];
    case 'approved':
      return kind === 'use' || kind === 'extend' ? ['document_no', 'from', 'until', 'text'] : kind === 'lift' ? ['document_no', 'text'] : ['document_no'];
    case 'informed':
      return ['notice_text', 'at'];
    case 'fitted':
    case 'removed':
      return ['device'];
    case 'applied':
      return kind === 'entry' ? ['from', 'until', 'zones', 'text'] : LEAVE;
    case 'assisted':
      return ['document_no'];
    case 'delay_agreed':
      return ['until', 'text'];
    case 'ordered_back':
      return ['deadline', 'text'];
    case 'returned':
      return ['at', 'text'];
    default:
      return ['text'];
  }
}

/** The periods that stand beside a step. */
export function periodsOf(kind: string, step: string): string[] {
  if (step === 'approved') return kind === 'use' ? ['authority.term', 'procuratorate.copy'] : kind === 'extend' ? ['authority.extension', 'procuratorate.copy'] : kind === 'regular_leave' ? ['permit.term'] : [];
  if (step !== 'applied') return [];
  return kind === 'leave' ? ['leave.office', 'leave.each', 'leave.total', 'leave.ahead'] : kind === 'regular_leave' ? ['permit.term'] : [];
}

/** The first step of a proceeding. */
export const FIRST: Record<string, string> = { use: 'proposed', extend: 'assessed', lift: 'proposed', exempt: 'proposed', leave: 'applied', regular_leave: 'applied', entry: 'applied' };

/** Which steps give something or change liberty: they are what a proceeding waits for. */
export const STEPS: Record<string, string[]> = {
  use: ['proposed', 'deliberated', 'approved', 'informed', 'fitted'],
  extend: ['assessed', 'deliberated', 'approved', 'informed'],
  lift: ['proposed', 'approved', 'removed'],
  exempt: ['proposed', 'deliberated', 'approved', 'informed'],
  leave: ['applied', 'approved', 'returned'],
  regular_leave: ['applied', 'approved'],
  entry: ['applied', 'approved'],
};

const two = (n: number) => String(n).padStart(2, '0');

/** What a field for date and time holds for an instant; it is always the time of China. */
export function toField(instant: string | number | null | undefined): string {
  const t = typeof instant === 'number' ? instant : instant ? Date.parse(instant) : NaN;
  if (!Number.isFinite(t)) return '';
  const c = civil(t);
  return `${c.year}-${two(c.month)}-${two(c.day)}T${two(c.hour)}:${two(c.minute)}`;
}

/** The instant that such a field means; undefined for none. */
export const fromField = (v: string): string | undefined => (v ? new Date(`${v}:00+08:00`).toISOString() : undefined);
