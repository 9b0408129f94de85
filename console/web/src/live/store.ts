// The board kept up to date: snapshot, then the stream from exactly there.

import { defineStore } from 'pinia';
import { computed, ref, shallowReactive, shallowRef, watch } from 'vue';
import { api, ApiError } from '@/api/http';
import type { Alert, Clock, Org, ServerMessage, Summary, Zone } from '@/api/types';
import { DomainClock } from '@/lib/time';
import { useSession } from '@/session/store';
import { useSound } from '@/sound/store';
import { append, byUrgency, emptyBoard, load, move, put as putOn, type Change } from './board';
import { browser, Stream, type Status } from './socket';

const NOTE_MS = 12_000; // how long the note about a closed gap stands
const SUMMARY_MS = 15_000;

export interface Gap {
  seconds: number; // how long nothing was heard
  alerts: number; // how many alerts came or changed meanwhile
}

export const useLive = defineStore('live', () => {
  const session = useSession();
  const sound = useSound();

  const board = emptyBoard();
  const subjects = (board.subjects = shallowReactive(board.subjects));
  const alerts = (board.alerts = shallowReactive(board.alerts));
  const zones = shallowRef<Zone[]>([]);
  const orgs = shallowRef<Org[]>([]);
  const summary = shallowRef<Summary | null>(null);
  const clock = shallowRef<Clock | null>(null);
  const now = ref(NaN); // domain milliseconds, once a second
  const dataAt = ref(NaN); // domain time of the newest observation
  const degraded = ref<string[]>([]);
  const missingCalendars = ref<number[]>([]); // years
  const staleSources = ref<string[]>([]); // whose data is out of step
  const status = ref<Status>('connecting');
  const silentSince = ref(0); // machine (wall clock) milliseconds since when nothing was heard
  const loaded = ref(false);
  const failure = ref<ApiError | null>(null); // why the first snapshot could not be had
  const gap = shallowRef<Gap | null>(null);
  const movedAt = ref(0); // grows when positions changed
  const newest = shallowRef<Change>({ raised: [], changed: [], closed: [] });

  const domain = new DomainClock();
  let stream: Stream | null = null;
  let timer = 0;
  let generation = 0;
  let owner = 0; // account the board belongs to
  let snapshotWanted = false;
  let summaryAt = 0;
  let summaryWanted = false;
  let missed: { since: number; alerts: number; until: number } | null = null;
  let lastTick = 0;

  const queue = computed(() => [...alerts.values()].filter((a) => !a.outage_id).sort(byUrgency));
  const stale = computed(() => loaded.value && status.value !== 'live');

  function changed(c: Change): void {
    const n = c.raised.length + c.changed.length + c.closed.length;
    if (n === 0) return;
    if (missed) missed.alerts += n;
    newest.value = c;
    summaryWanted = true;
    sound.raised(c.raised);
  }

  function setClock(c: Clock, at: string): void {
    clock.value = c;
    domain.set(at, c.kind, c.rate, performance.now());
    now.value = domain.now(performance.now());
  }

  async function fetchSnapshot(first = false): Promise<void> {
    const mine = generation;
    const s = await api.snapshot();
    if (mine !== generation) return;
    const c = load(board, s);
    zones.value = board.zones;
    orgs.value = board.orgs;
    summary.value = s.summary;
    if (s.data_at) dataAt.value = Date.parse(s.data_at);
    setClock(s.clock, s.now);
    movedAt.value++;
    loaded.value = true;
    failure.value = null;
    if (!first) changed(c);
  }

  function receive(m: ServerMessage): void {
    switch (m.type) {
      case 'hello':
        setClock(m.clock, m.now);
        break;
      case 'entries':
        changed(append(board, m.pos, m.alerts));
        if (m.zones_changed || m.subjects_changed) snapshotWanted = true;
        break;
      case 'positions':
        if (move(board, m.items)) snapshotWanted = true;
        movedAt.value++;
        break;
      case 'beat':
        setClock(m.clock, m.now);
        dataAt.value = m.data_at ? Date.parse(m.data_at) : NaN;
        degraded.value = m.degraded ?? [];
        missingCalendars.value = m.missing_calendars ?? [];
        staleSources.value = m.stale_sources ?? [];
        append(board, m.pos, []); // everything up to there was told before this beat
        break;
      case 'resync':
        void resync();
        break;
      case 'bye':
        if (status.value === 'ended') session.expired = true;
        else if (m.reason === 'rights_changed') void renew();
        break;
    }
  }

  /** The server no longer has the rows after our position: start again from a whole snapshot. */
  async function resync(): Promise<void> {
    stream?.pause();
    board.pos = -1;
    try {
      await fetchSnapshot();
      stream?.start();
    } catch {
      setTimeout(() => void (stream && resync()), 2000);
    }
  }

  /** What this account may see has changed: ask who it is now, and begin with what it sees now. */
  async function renew(): Promise<void> {
    stream?.pause();
    try {
      await session.refresh();
      if (session.seesCases) {
        clear();
        await resync();
      }
    } catch {
      setTimeout(() => void (stream && renew()), 2000);
    }
  }

  function onStatus(s: Status, since: number): void {
    const was = status.value;
    status.value = s;
    if (s === 'live') {
      if (was !== 'live' && was !== 'connecting') {
        missed = { since: silentSince.value, alerts: 0, until: Date.now() + 2500 };
      }
    } else {
      silentSince.value = Date.now() - (performance.now() - since);
      gap.value = null;
    }
  }

  function tick(): void {
    const at = performance.now();
    now.value = domain.now(at);
    // A page that slept may hold an old picture: nothing counts as live until the next message.
    stream?.tick();
    if (lastTick && at - lastTick > 5000 && status.value !== 'live') stream?.retry();
    lastTick = at;
    sound.tick(alerts.values());
    if (missed && Date.now() >= missed.until) {
      const note = { seconds: Math.round((missed.until - 2500 - missed.since) / 1000), alerts: missed.alerts };
      missed = null;
      gap.value = note;
      setTimeout(() => {
        if (gap.value === note) gap.value = null;
      }, NOTE_MS);
    }
    if (!loaded.value) return;
    if (snapshotWanted) {
      snapshotWanted = false;
      fetchSnapshot().catch(() => (snapshotWanted = true));
    }
    if (status.value === 'live' && (at - summaryAt > SUMMARY_MS || (summaryWanted && at - summaryAt > 1500))) {
      summaryAt = at;
      summaryWanted = false;
      api.summary().then((s) => (summary.value = s)).catch(() => {});
    }
  }

  const put = (alert: Alert) => putOn(board, alert);

  /** Starts on an empty board, or goes on with the one that the same person left when the session ran out. */
  async function start(): Promise<void> {
    if (stream) return;
    const account = session.me!.account.id;
    if (owner !== account) clear();
    owner = account;
    generation++;
    stream = new Stream(browser(), { pos: () => board.pos, message: receive, status: onStatus });
    timer = window.setInterval(tick, 1000);
    await begin();
  }

  /** The first snapshot, tried until it is had; the screen says why it has none. */
  async function begin(): Promise<void> {
    const mine = generation;
    try {
      await fetchSnapshot(!loaded.value);
      stream?.start();
    } catch (err) {
      if (mine !== generation) return;
      failure.value = err instanceof ApiError ? err : new ApiError(0, 'unexpected');
      if (failure.value.status === 401 || failure.value.status === 403) return;
      setTimeout(() => mine === generation && void begin(), 3000);
    }
  }

  function stop(): void {
    generation++;
    window.clearInterval(timer);
    stream?.stop();
    stream = null;
    status.value = 'ended';
  }

  function clear(): void {
    subjects.clear();
    alerts.clear();
    board.done.clear();
    Object.assign(board, { pos: -1, zones: [], orgs: [] });
    zones.value = [];
    orgs.value = [];
    summary.value = null;
    loaded.value = false;
    failure.value = null;
    status.value = 'connecting';
    gap.value = null;
    lastTick = 0;
  }

  const retry = () => (loaded.value ? stream?.retry() : void begin());

  // The stream lives exactly as long as somebody is logged in who may see cases.
  watch(
    () => session.me !== null && session.seesCases,
    (on) => {
      if (on) void start();
      else {
        stop();
        if (!session.me) clear();
      }
    },
    { immediate: true },
  );
  // A duty account that has been idle still gets its stream: the wall goes on behind the login. One whose session is over
  // begins again when somebody has logged in.
  watch(
    () => session.expired,
    (over) => {
      if (!over && status.value === 'ended' && session.me && session.seesCases) {
        stop();
        void start();
      }
    },
  );
  window.addEventListener('online', () => stream?.retry());
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') tick();
  });

  return {
    subjects, alerts, zones, orgs, summary, clock, now, dataAt, degraded, missingCalendars, staleSources, status, silentSince, loaded, failure, gap,
    movedAt, newest, queue, stale, put, retry,
  };
});
