import { describe, expect, it } from 'vitest';
import { FIRST, STEPS, fieldsOf, fromField, periodsOf, toField } from './law';

describe('steps of proceedings', () => {
  it('begin with the step that opens them, and ask for something', () => {
    for (const [kind, steps] of Object.entries(STEPS)) {
      expect(FIRST[kind]).toBe(steps[0]);
      for (const s of steps) expect(fieldsOf(kind, s).length).toBeGreaterThan(0);
    }
  });
  it('show what the law says where days are given', () => {
    expect(periodsOf('use', 'approved')).toContain('authority.term');
    expect(periodsOf('leave', 'applied')).toContain('leave.total');
    expect(periodsOf('lift', 'approved')).toEqual([]);
  });
  it('take times as those of China, whatever the browser believes', () => {
    expect(toField('2026-11-23T16:05:00Z')).toBe('2026-11-24T00:05');
    expect(fromField('2026-11-24T00:05')).toBe('2026-11-23T16:05:00.000Z');
    expect(toField(null)).toBe('');
    expect(fromField('')).toBeUndefined();
  });
});
