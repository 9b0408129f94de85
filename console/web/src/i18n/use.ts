// The catalogue with the few helpers every screen needs.

import { useI18n } from 'vue-i18n';
import { ApiError } from '@/api/http';
import { metres as metresOf } from '@/lib/format';
import { age } from '@/lib/time';
import { setLocale, type Locale } from '.';

const ERRORS: Record<string, string> = {
  bad_login: 'bad_login', unreachable: 'unreachable', forbidden: 'forbidden', not_found: 'not_found', conflict: 'conflict', csrf: 'csrf',
  wrong_staff: 'wrong_staff', step_up: 'step_up', second_person: 'second_person', not_your_role: 'not_your_role', not_your_own: 'not_your_own', asker_gone: 'asker_gone', roles_refused: 'roles_refused', certificate_needed: 'certificate_needed', of_a_juvenile: 'of_a_juvenile', no_font: 'no_font', account_disabled: 'account_disabled', invalid: 'invalid', unauthorized: 'unauthorized',
};
const STATUS: Record<number, string> = { 401: 'unauthorized', 403: 'forbidden', 404: 'not_found', 409: 'conflict', 422: 'invalid', 503: 'busy', 502: 'unreachable', 504: 'unreachable' };

export function useWords() {
  const { t, te, locale } = useI18n();

  /** A word of a closed list, or the code itself when the server knows one that we do not. */
  const word = (list: string, code: string | null | undefined): string =>
    code === null || code === undefined || code === '' ? '–' : te(`${list}.${code}`) ? t(`${list}.${code}`) : te(`${list}.${code}`, 'zh-CN') ? t(`${list}.${code}`) : String(code);

  const ago = (d: number) => {
    const a = age(d);
    return t(`ago.${a.unit}`, { n: a.n });
  };
  const span = (d: number) => {
    const a = age(d);
    return t(`span.${a.unit}`, { n: a.n });
  };
  const metres = (m: number | null | undefined) => metresOf(m, { m: t('unit.m'), km: t('unit.km') });

  /** What an error means to the person who reads it. */
  function reason(err: unknown): string {
    if (!(err instanceof ApiError)) return t('error.unexpected', { code: 'client' });
    if (err.status === 429) {
      const n = Number(err.detail.retry_after_s ?? err.detail.retry_after ?? NaN);
      return Number.isFinite(n) ? t('error.too_many', { n: Math.ceil(n) }) : t('error.too_many_plain');
    }
    const key = ERRORS[err.code] ?? STATUS[err.status];
    return key ? t(`error.${key}`) : t('error.unexpected', { code: err.code });
  }

  const isChinese = () => locale.value === 'zh-CN';
  const switchLanguage = () => setLocale((isChinese() ? 'en' : 'zh-CN') as Locale);

  return { t, te, word, ago, span, metres, reason, isChinese, switchLanguage };
}
