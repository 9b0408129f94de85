// What screens say of an alert.

import type { Alert, AlertClass } from '@/api/types';

export type Weight = AlertClass | 'handled';

/** How an alert looks: its class while somebody is to act, quiet once somebody does. */
export const weight = (a: Pick<Alert, 'class' | 'state'>): Weight => (a.state === 'open' ? a.class : 'handled');

/** The sentence without what stands beside it anyway: the subject's label before, the legal basis after. */
export function brief(sentence: string, label: string): string {
  let s = sentence.trim();
  if (s.startsWith(label)) s = s.slice(label.length);
  const basis = s.search(/[。.；;，,]?\s*(依据[：:]|Basis:|Legal basis:|Grounds:)/);
  if (basis > 0) s = s.slice(0, basis);
  return s.replace(/^[\s·，,：:]+/, '').trim();
}
