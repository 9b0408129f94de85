// Who is logged in. When the server ends the session the page stays, with what was typed in it, under a login form.

import { defineStore } from 'pinia';
import { computed, ref } from 'vue';
import { api, ApiError, setCsrf, whenSignedOut } from '@/api/http';
import type { Me } from '@/api/types';

export const useSession = defineStore('session', () => {
  const me = ref<Me | null>(null);
  const expired = ref(false);
  const asked = ref(false);

  const signedIn = computed(() => me.value !== null && !expired.value);
  /** Administrators of the system, of security and of the audit see no case data. */
  const seesCases = computed(() => me.value?.may.includes('watch') ?? false);

  /** What routes the account may use, by the server's names of access. */
  const may = (access: string) => me.value?.may.includes(access) ?? false;
  /** What has to be proved or changed before anything else is open. */
  const unproven = computed(() => !!me.value && (me.value.proven.second_factor_needed || me.value.proven.password_to_change));

  function accept(m: Me): void {
    me.value = m;
    expired.value = false;
    setCsrf(m.csrf);
  }

  whenSignedOut(() => {
    if (me.value) expired.value = true;
  });

  /** Asks once whether the cookie still stands for somebody. Throws only when the server cannot be reached. */
  async function restore(): Promise<boolean> {
    if (asked.value) return me.value !== null;
    try {
      accept(await api.me());
    } catch (err) {
      if (!(err instanceof ApiError) || err.status !== 401) throw err;
    }
    asked.value = true;
    return me.value !== null;
  }

  /** Asks again who this is, as its rights may have changed. */
  async function refresh(): Promise<void> {
    accept(await api.me());
  }

  async function login(name: string, password: string, code = ''): Promise<void> {
    accept(await api.login(name, password, code));
    asked.value = true;
  }

  async function logout(): Promise<void> {
    await api.logout().catch((err: unknown) => {
      if (!(err instanceof ApiError) || err.status !== 401) throw err;
    });
    me.value = null;
    expired.value = false;
    setCsrf('');
  }

  return { me, expired, signedIn, seesCases, may, unproven, accept, restore, refresh, login, logout };
});
