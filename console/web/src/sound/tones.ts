// The three tones, made by the browser itself: no sound file, nothing to load.

import type { Tone } from './policy';

interface Note {
  at: number; // seconds from the start
  for: number;
  hz: number;
  gain: number;
  wave: OscillatorType;
}

// 报警: a rising fourth, three times, with bite. 提醒: two soft falling notes. 线索: one low knock.
const SCORE: Record<Tone, Note[]> = {
  alarm: [0, 0.55, 1.1].flatMap((t) => [
    { at: t, for: 0.2, hz: 740, gain: 0.5, wave: 'triangle' as const },
    { at: t + 0.22, for: 0.26, hz: 988, gain: 0.5, wave: 'triangle' as const },
  ]),
  reminder: [
    { at: 0, for: 0.22, hz: 659, gain: 0.28, wave: 'sine' },
    { at: 0.26, for: 0.38, hz: 494, gain: 0.28, wave: 'sine' },
  ],
  lead: [{ at: 0, for: 0.12, hz: 262, gain: 0.2, wave: 'sine' }],
};

export class Speaker {
  private context: AudioContext | null = null;

  /** running: it can be heard. suspended: the browser wants a gesture first. missing: no sound on this machine. */
  get state(): 'running' | 'suspended' | 'missing' {
    if (typeof AudioContext === 'undefined') return 'missing';
    return this.context?.state === 'running' ? 'running' : 'suspended';
  }

  /** Asks the browser for sound; whether it was given. */
  async wake(): Promise<boolean> {
    if (typeof AudioContext === 'undefined') return false;
    this.context ??= new AudioContext();
    if (this.context.state !== 'running') {
      // Without a gesture the promise never settles: do not wait for it long.
      await Promise.race([this.context.resume().catch(() => {}), new Promise((done) => setTimeout(done, 300))]);
    }
    return this.state === 'running';
  }

  /** Plays a tone; false when it could not be heard. */
  play(tone: Tone): boolean {
    const c = this.context;
    if (!c || c.state !== 'running') return false;
    for (const n of SCORE[tone]) {
      const start = c.currentTime + 0.02 + n.at;
      const gain = c.createGain();
      gain.gain.setValueAtTime(0, start);
      gain.gain.linearRampToValueAtTime(n.gain, start + 0.015);
      gain.gain.setValueAtTime(n.gain, start + n.for - 0.05);
      gain.gain.linearRampToValueAtTime(0, start + n.for);
      const o = c.createOscillator();
      o.type = n.wave;
      o.frequency.value = n.hz;
      o.connect(gain).connect(c.destination);
      o.start(start);
      o.stop(start + n.for);
    }
    return true;
  }
}
