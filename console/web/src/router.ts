// The pages. Nothing but the login is shown before the server has said who is there.

import { createRouter, createWebHistory } from 'vue-router';
import { useSession } from './session/store';
import { forceTheme } from './theme';

declare module 'vue-router' {
  interface RouteMeta {
    open?: boolean; // shown to anybody
    cases?: boolean; // shows case data
    wall?: boolean; // dark, whole screen
  }
}

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: '/login', name: 'login', component: () => import('./pages/LoginPage.vue'), meta: { open: true } },
    { path: '/', name: 'wall', component: () => import('./pages/WallPage.vue'), meta: { cases: true, wall: true } },
    {
      path: '/',
      component: () => import('./pages/DeskLayout.vue'),
      children: [
        { path: 'alerts', name: 'alerts', component: () => import('./pages/AlertsPage.vue'), meta: { cases: true } },
        { path: 'alerts/:id(\\d+)', name: 'alert', component: () => import('./pages/AlertPage.vue'), meta: { cases: true }, props: (r) => ({ id: Number(r.params.id) }) },
        { path: 'outages', name: 'outages', component: () => import('./pages/OutagesPage.vue'), meta: { cases: true } },
        { path: 'law', name: 'law', component: () => import('./pages/LawPage.vue'), meta: { cases: true } },
        { path: 'law/:id(\\d+)', name: 'proceeding', component: () => import('./pages/ProceedingPage.vue'), meta: { cases: true }, props: (r) => ({ id: Number(r.params.id) }) },
        { path: 'handling', name: 'handling', component: () => import('./pages/HandlingPage.vue'), meta: { cases: true } },
        { path: 'law/table', name: 'lawTable', component: () => import('./pages/LawTablePage.vue'), meta: { cases: true } },
        { path: 'subjects/:id(\\d+)/legal', name: 'legal', component: () => import('./pages/LegalPage.vue'), meta: { cases: true }, props: (r) => ({ id: Number(r.params.id) }) },
        { path: 'devices', name: 'devices', component: () => import('./pages/DevicesPage.vue'), meta: { cases: true } },
        { path: 'calendar', name: 'calendar', component: () => import('./pages/CalendarPage.vue'), meta: { cases: true } },
        { path: 'me', name: 'me', component: () => import('./pages/MePage.vue') },
        { path: 'organisation', name: 'organisation', component: () => import('./pages/OrganisationPage.vue') },
        { path: 'accounts', name: 'accounts', component: () => import('./pages/AccountsPage.vue') },
        { path: 'countersigns', name: 'countersigns', component: () => import('./pages/CountersignsPage.vue') },
        { path: 'cover', name: 'cover', component: () => import('./pages/CoverPage.vue') },
        { path: 'audit', name: 'audit', component: () => import('./pages/AuditPage.vue') },
        { path: 'privacy', name: 'privacy', component: () => import('./pages/PrivacyPage.vue') },
        { path: 'data', name: 'data', component: () => import('./pages/DataPage.vue') },
        { path: ':rest(.*)*', name: 'missing', component: () => import('./pages/MissingPage.vue') },
      ],
    },
  ],
});

router.beforeEach(async (to) => {
  const session = useSession();
  let there = false;
  try {
    there = await session.restore();
  } catch {
    there = session.me !== null; // unreachable: the login page says so when it is used
  }
  if (!there && !to.meta.open) return { name: 'login', query: to.fullPath === '/' ? {} : { next: to.fullPath } };
  if (there && to.name === 'login' && to.query.sso === undefined) return { name: 'wall' };
  if (there && session.unproven && to.name !== 'me') return { name: 'me' };
  return true;
});

router.afterEach((to) => forceTheme(to.meta.wall ? 'dark' : null));
