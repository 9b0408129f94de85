import { beforeEach, expect, it } from 'vitest';
import type { ServerMessage } from '@/api/types';
import { GIVE_UP_MS, STALL_MS, Stream, type Status, type Wire } from './socket';

class FakeWire implements Wire {
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;
  onmessage: ((e: { data: string }) => void) | null = null;
  closed = false;
  constructor(readonly pos: number) {}
  close() {
    this.closed = true;
  }
  say(m: ServerMessage) {
    this.onmessage?.({ data: JSON.stringify(m) });
  }
}

const beat: ServerMessage = { type: 'beat', now: '2026-11-23T14:00:00Z', clock: { now: '', kind: 'machine' }, pos: 1, data_at: null };
let wires: FakeWire[], now: number, pos: number, seen: [Status, number][], got: string[], stream: Stream;
const wire = () => wires[wires.length - 1]!;

/** Lets time pass as the page does: a look every second. */
function pass(ms: number) {
  for (const end = now + ms; now < end; ) {
    now = Math.min(end, now + 1000);
    stream.tick();
  }
}

beforeEach(() => {
  wires = [];
  now = 0;
  pos = 7;
  seen = [];
  got = [];
  stream = new Stream(
    { open: (p) => (wires.push(new FakeWire(p)), wire()), now: () => now, random: () => 0.5 },
    { pos: () => pos, message: (m) => got.push(m.type), status: (s, since) => seen.push([s, since]) },
  );
  stream.start();
});

it('is live by the first message, from the position it was asked for', () => {
  expect(wire().pos).toBe(7);
  wire().say(beat);
  expect(seen).toEqual([['live', 0]]);
});

it('says so when five beats are missed, and since when', () => {
  wire().say(beat);
  pass(3000);
  wire().say(beat);
  pass(STALL_MS);
  expect(seen).toEqual([['live', 0], ['stalled', 3000]]);
  wire().say(beat);
  expect(seen[2]![0]).toBe('live');
});

it('drops a silent connection and resumes from the newest position', () => {
  wire().say(beat);
  const first = wire();
  pass(GIVE_UP_MS);
  expect(first.closed).toBe(true);
  pos = 42;
  pass(2000);
  expect(wires.length).toBe(2);
  expect(wire().pos).toBe(42);
  expect(seen[seen.length - 1]).toEqual(['reconnecting', 0]);
});

it('backs off, and keeps the moment it was last heard', () => {
  wire().say(beat);
  const opened: number[] = [];
  for (let i = 0; i < 40; i++) {
    const n = wires.length;
    wire().onclose?.();
    while (wires.length === n) pass(1000);
    opened.push(now);
  }
  expect(opened.slice(0, 3)).toEqual([1000, 2000, 4000]);
  expect(opened[39]! - opened[38]!).toBe(15_000);
  expect(seen[seen.length - 1]).toEqual(['reconnecting', 0]);
});

it('ignores what a dropped connection still says', () => {
  const old = wire();
  const late = old.onmessage!;
  old.onclose?.();
  pass(1000);
  late({ data: JSON.stringify(beat) });
  expect(got).toEqual([]);
});

it('ends with the session, and reconnects after any other goodbye', () => {
  wire().say({ type: 'bye', reason: 'slow' });
  pass(1000);
  expect(wires.length).toBe(2);
  wire().say({ type: 'bye', reason: 'session' });
  pass(60_000);
  expect(wires.length).toBe(2);
  expect(seen[seen.length - 1]![0]).toBe('ended');
});

it('is not live while paused for a resync', () => {
  wire().say(beat);
  stream.pause();
  expect(seen[seen.length - 1]![0]).toBe('reconnecting');
  stream.start();
  wire().say(beat);
  expect(seen[seen.length - 1]![0]).toBe('live');
});

it('reconnects on a message it cannot read', () => {
  wire().onmessage?.({ data: '{' });
  expect(seen[seen.length - 1]![0]).toBe('reconnecting');
});
