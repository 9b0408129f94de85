// Dark or light. The wall is always dark; the desk as the person chose, by day light.

import { ref, watchEffect } from 'vue';

const KEY = 'zhijiao.theme';
type Choice = 'light' | 'dark';

function stored(): Choice {
  try {
    return localStorage.getItem(KEY) === 'dark' ? 'dark' : 'light';
  } catch {
    return 'light';
  }
}

const choice = ref<Choice>(stored());
const forced = ref<Choice | null>(null);
export const isDark = ref(false);

watchEffect(() => {
  const theme = forced.value ?? choice.value;
  isDark.value = theme === 'dark';
  document.documentElement.dataset.theme = theme;
  document.documentElement.classList.toggle('dark', theme === 'dark');
});

/** The theme of a screen that has only one; null gives the choice back. */
export function forceTheme(t: Choice | null): void {
  forced.value = t;
}

export function toggleTheme(): void {
  choice.value = choice.value === 'dark' ? 'light' : 'dark';
  try {
    localStorage.setItem(KEY, choice.value);
  } catch {
    // It holds until the page is closed.
  }
}
