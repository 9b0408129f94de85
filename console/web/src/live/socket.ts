// The stream: one websocket, resumed from the ledger position of what was taken in last.

import type { ServerMessage } from '@/api/types';

/**
 * connecting: never yet heard. live: beats arrive. stalled: connected, and silent for STALL_MS. reconnecting: the
 * connection is gone, the next attempt is due. ended: the server closed the session.
 */
export type Status = 'connecting' | 'live' | 'stalled' | 'reconnecting' | 'ended';

export const STALL_MS = 5000; // five beats missed
export const GIVE_UP_MS = 12_000; // a silent connection is dropped and opened anew
const BACKOFF_MS = [500, 1000, 2000, 4000, 8000, 15_000];

export interface Wire {
  onopen: (() => void) | null;
  onclose: (() => void) | null;
  onerror: (() => void) | null;
  onmessage: ((e: { data: string }) => void) | null;
  close(): void;
}

export interface Surroundings {
  open(pos: number): Wire;
  now(): number; // monotonic milliseconds
  random(): number;
}

export interface Handlers {
  pos(): number;
  message(m: ServerMessage): void;
  status(s: Status, since: number): void;
}

/** A stream. tick() is called about once a second by its owner; nothing else makes time pass. */
export class Stream {
  private wire: Wire | null = null;
  private state: Status = 'connecting';
  private heard: number; // when the last message came
  private since: number; // since when the state holds, counted from the last message
  private attempts = 0;
  private retryAt = 0;
  private stopped = false;

  constructor(private readonly env: Surroundings, private readonly on: Handlers) {
    this.heard = this.since = env.now();
  }

  start(): void {
    this.stopped = false;
    this.connect();
  }

  stop(): void {
    this.stopped = true;
    this.drop();
  }

  /** Lets go of the connection until start(): what is on the screen is not live meanwhile. */
  pause(): void {
    this.stop();
    this.enter('reconnecting', this.heard);
  }

  /** Tries at once, as a person asked or the network came back. */
  retry(): void {
    if (this.stopped || this.state === 'live') return;
    this.attempts = 0;
    this.drop();
    this.connect();
  }

  tick(): void {
    if (this.stopped || this.state === 'ended') return;
    const now = this.env.now();
    if (!this.wire) {
      if (now >= this.retryAt) this.connect();
      return;
    }
    const silent = now - this.heard;
    if (silent >= GIVE_UP_MS) this.lost();
    else if (silent >= STALL_MS && this.state === 'live') this.enter('stalled', this.heard);
  }

  private connect(): void {
    const wire = this.env.open(this.on.pos());
    this.wire = wire;
    this.heard = this.env.now(); // a connection being made is given as long as a silent one
    wire.onmessage = (e) => {
      if (this.wire === wire) this.receive(e.data);
    };
    wire.onclose = wire.onerror = () => {
      if (this.wire === wire) this.lost();
    };
  }

  private receive(data: string): void {
    let m: ServerMessage;
    try {
      m = JSON.parse(data) as ServerMessage;
    } catch {
      return this.lost();
    }
    this.heard = this.env.now();
    if (m.type === 'bye') {
      this.drop();
      if (m.reason === 'session' || m.reason === 'session_ended' || m.reason === 'logout') this.enter('ended', this.heard);
      else this.lost();
      return this.on.message(m);
    }
    this.attempts = 0;
    if (this.state !== 'live') this.enter('live', this.heard);
    this.on.message(m);
  }

  private lost(): void {
    const before = this.state === 'reconnecting' || this.state === 'stalled' ? this.since : this.heard;
    this.drop();
    const wait = BACKOFF_MS[Math.min(this.attempts++, BACKOFF_MS.length - 1)]!;
    this.retryAt = this.env.now() + wait * (0.75 + this.env.random() / 2);
    this.enter('reconnecting', before);
  }

  private drop(): void {
    const wire = this.wire;
    this.wire = null;
    if (!wire) return;
    wire.onopen = wire.onclose = wire.onerror = wire.onmessage = null;
    wire.close();
  }

  private enter(s: Status, since: number): void {
    const changed = s !== this.state;
    this.state = s;
    this.since = since;
    if (changed || s !== 'live') this.on.status(s, since);
  }
}

/** The browser's own surroundings. */
export function browser(path = '/ws'): Surroundings {
  return {
    open(pos) {
      const url = new URL(path, location.href);
      url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
      url.searchParams.set('pos', String(pos));
      return new WebSocket(url) as unknown as Wire;
    },
    now: () => performance.now(),
    random: Math.random,
  };
}
