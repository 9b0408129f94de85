// Keys by their place on the keyboard, so that they work under a Chinese input method.

import { onBeforeUnmount, onMounted } from 'vue';

export type KeyMap = Partial<Record<string, (e: KeyboardEvent) => void>>;

const typing = (t: EventTarget | null) =>
  t instanceof HTMLElement && (t.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(t.tagName));

/** Handles keys of a page while active says so. In a field only Escape is ours; Enter on a focused control is its own. */
export function useKeys(map: KeyMap, active: () => boolean = () => true): void {
  function onKey(e: KeyboardEvent): void {
    if (e.defaultPrevented || e.isComposing || e.ctrlKey || e.altKey || e.metaKey || !active()) return;
    const code = e.code.replace(/^Numpad(\d)$/, 'Digit$1').replace('NumpadEnter', 'Enter');
    const act = map[e.shiftKey ? `Shift+${code}` : code] ?? undefined;
    if (!act) return;
    if (typing(e.target) && code !== 'Escape') return;
    if (code === 'Enter' && e.target instanceof HTMLElement && /^(BUTTON|A)$/.test(e.target.tagName)) return;
    e.preventDefault();
    act(e);
  }
  onMounted(() => document.addEventListener('keydown', onKey));
  onBeforeUnmount(() => document.removeEventListener('keydown', onKey));
}

let last = -Infinity;
for (const type of ['pointermove', 'pointerdown', 'keydown', 'wheel'] as const) {
  window.addEventListener(type, () => (last = performance.now()), { capture: true, passive: true });
}

/** Milliseconds since somebody last touched this screen: nothing moves by itself on one that is in use. */
export const idleFor = (): number => performance.now() - last;
