// Whether the wall can be heard, and what it last said.

import { defineStore } from 'pinia';
import { ref } from 'vue';
import type { Alert } from '@/api/types';
import { loudest, REPEAT_MS, toneOf, type Tone } from './policy';
import { Speaker } from './tones';

export type SoundState = 'on' | 'blocked' | 'missing' | 'muted';

const MUTE_MS = 5 * 60_000;

export const useSound = defineStore('sound', () => {
  const speaker = new Speaker();
  const state = ref<SoundState>('blocked');
  const mutedUntil = ref(0); // machine milliseconds
  const lastTone = ref<Tone | null>(null);
  let lastAlarm = -Infinity;

  function look(): void {
    if (speaker.state === 'missing') state.value = 'missing';
    else if (speaker.state !== 'running') state.value = 'blocked';
    else state.value = Date.now() < mutedUntil.value ? 'muted' : 'on';
  }

  /** Called on a gesture; a browser allows sound only then. */
  async function enable(): Promise<boolean> {
    const ok = await speaker.wake();
    look();
    return ok;
  }

  /** Enables, unmutes, and lets each tone be heard, as at a hand-over. */
  async function test(): Promise<void> {
    mutedUntil.value = 0;
    if (await enable()) speaker.play('alarm');
  }

  function mute(): void {
    mutedUntil.value = Date.now() + MUTE_MS;
    look();
  }

  function unmute(): void {
    mutedUntil.value = 0;
    look();
  }

  function say(tone: Tone | null): void {
    look();
    if (!tone) return;
    lastTone.value = tone;
    if (state.value !== 'on') return;
    if (tone === 'alarm') lastAlarm = performance.now();
    if (!speaker.play(tone)) state.value = 'blocked';
  }

  const raised = (alerts: Alert[]) => say(loudest(alerts.map(toneOf)));

  /** Once a second: an alarm nobody took charge of rings again. */
  function tick(open: Iterable<Alert>): void {
    look();
    if (state.value !== 'on' || performance.now() - lastAlarm < REPEAT_MS) return;
    for (const a of open) {
      if (toneOf(a) === 'alarm') return say('alarm');
    }
  }

  // Any gesture at all is used to get sound; the banner is for a wall nobody touches.
  const onGesture = () => {
    if (speaker.state === 'suspended') void enable();
  };
  window.addEventListener('pointerdown', onGesture, { capture: true, passive: true });
  window.addEventListener('keydown', onGesture, { capture: true, passive: true });
  void enable(); // some walls are configured to allow it at once

  return { state, mutedUntil, lastTone, enable, test, mute, unmute, raised, tick };
});
