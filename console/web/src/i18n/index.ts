// Two catalogues and a switch. Messages are compiled to a tree and interpreted: nothing is evaluated as code.

import { createI18n } from 'vue-i18n';
import zh from './zh-CN';
import en from './en';

export type Locale = 'zh-CN' | 'en';
const KEY = 'zhijiao.locale';

function stored(): Locale {
  try {
    return localStorage.getItem(KEY) === 'en' ? 'en' : 'zh-CN';
  } catch {
    return 'zh-CN';
  }
}

export const i18n = createI18n({
  legacy: false,
  locale: stored() as string,
  fallbackLocale: 'zh-CN',
  messages: { 'zh-CN': zh, en },
  missingWarn: false,
  fallbackWarn: false,
});

export function setLocale(l: Locale): void {
  i18n.global.locale.value = l;
  document.documentElement.lang = l;
  try {
    localStorage.setItem(KEY, l);
  } catch {
    // A browser that keeps nothing still switches.
  }
}

document.documentElement.lang = i18n.global.locale.value;
