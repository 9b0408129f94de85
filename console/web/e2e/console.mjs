// What a person does with the console, as functions. Every wait is for something on the screen, none is for time alone.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const ARGS = [
  '--no-sandbox', '--disable-gpu', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader',
  '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run',
];
const id = (name) => `[data-testid="${name}"]`;

/** A browser at base. page.left: requests that went anywhere else; page.broken: errors the page itself reported. */
export async function launch(base, { width = 1920, height = 1080, locale = 'zh-CN' } = {}) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ARGS });
  const context = await browser.newContext({ baseURL: base, viewport: { width, height }, locale });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.left = [];
  page.broken = [];
  page.snapshots = 0;
  page.on('request', (r) => {
    const url = new URL(r.url());
    if (/^https?:$/.test(url.protocol) && url.origin !== new URL(base).origin) page.left.push(r.url());
    if (url.pathname === '/api/snapshot') page.snapshots++;
  });
  page.on('pageerror', (e) => page.broken.push(e.message));
  page.on('console', (m) => {
    if (m.type() === 'error' && /Content Security Policy|Uncaught/.test(m.text())) page.broken.push(m.text());
  });
  return { browser, context, page };
}

/** Fills in the login and sends it; says nothing of what comes. */
export async function tryLogin(page, account, password) {
  await page.goto('/');
  await page.fill(id('login-name'), account);
  await page.fill(id('login-password'), password);
  await page.click(id('login-submit'));
}

export async function login(page, account, password) {
  await tryLogin(page, account, password);
  await page.waitForSelector(id('wall'));
  await expectStream(page, 'live');
}

export async function loginError(page) {
  return page.textContent(id('login-error'));
}

/** Waits until the stream is live, stalled or reconnecting. */
export async function expectStream(page, status, timeout = 30_000) {
  await page.waitForSelector(`${id('stream-status')}[data-status="${status}"]`, { timeout });
}

/** Numbers of the alerts the wall has in its queue, shown or counted, in their order. */
export async function queue(page) {
  const ids = await page.getAttribute(id('queue'), 'data-ids');
  return ids ? ids.split(' ').map(Number) : [];
}

/** Waits for an alert that is not among known, on the page as it is: no reload. Returns its number. */
export async function expectAlertLive(page, known, timeout = 60_000) {
  const found = await page.waitForFunction(
    ([selector, before]) => (document.querySelector(selector)?.dataset.ids ?? '').split(' ').filter(Boolean).map(Number).find((n) => !before.includes(n)) ?? 0,
    [id('queue'), known], { timeout },
  );
  return found.jsonValue();
}

/** Goes to an alert's page from the wall, by its row where it is shown. */
export async function openAlert(page, alert) {
  const row = page.locator(`${id('queue-row')}[data-id="${alert}"] a`);
  if (await row.count()) await row.click();
  else await page.goto(`/alerts/${alert}`);
  await page.waitForSelector(id('sentence'));
}

export async function sentence(page) {
  return (await page.textContent(id('sentence'))).trim();
}

export async function acknowledge(page) {
  await page.click(id('act-take'));
  await page.waitForSelector(`${id('alert-class')}[data-state="acknowledged"]`);
}

/** Whether name and phones of the subject are shown. */
export async function personShown(page) {
  return (await page.getAttribute(id('person'), 'data-masked')) === 'false';
}

export async function note(page, text) {
  await page.click(id('act-note'));
  await page.fill(id('note-text'), text);
  await page.click(id('note-submit'));
  await page.waitForSelector(`${id('timeline')} >> text=${text}`);
}

/** Closes the alert on the page with a conclusion and a text. */
export async function close(page, conclusion, text) {
  await page.click(id('act-close'));
  await page.click(id(`conclusion-${conclusion}`));
  await page.fill(id('close-text'), text);
  await page.click(id('close-submit'));
  await page.waitForSelector(`${id('alert-class')}[data-state="closed"]`);
}

/** What the page tells after an act: done, conflict or problem, and in which words. */
export async function told(page) {
  const box = page.locator(id('told'));
  await box.waitFor();
  return { kind: await box.getAttribute('data-kind'), text: (await box.textContent()).trim() };
}

export async function toWall(page) {
  await page.click('header a[href="/"]');
  await page.waitForSelector(id('wall'));
}

/** Alerts that are not closed, as the API lists them, through the session of the browser. */
export async function openByAPI(context, base) {
  const all = [];
  for (let before = ''; ; ) {
    const res = await context.request.get(`${base}/api/alerts?state=open&limit=200${before && `&before=${before}`}`);
    if (!res.ok()) throw new Error(`/api/alerts: ${res.status()}`);
    const { alerts, next } = await res.json();
    all.push(...alerts);
    if (!next) return all;
    before = next;
  }
}

/** Waits until the queue holds exactly the alerts the API lists, each once. Returns their numbers. */
export async function expectQueueComplete(page, context, base, timeout = 30_000) {
  const end = Date.now() + timeout;
  for (;;) {
    const shown = await queue(page);
    const there = (await openByAPI(context, base)).map((a) => a.id);
    const same = shown.length === there.length && new Set(shown).size === shown.length && there.every((n) => shown.includes(n));
    if (same) return shown;
    if (Date.now() > end) throw new Error(`the queue shows ${shown.join(' ')}, the server has ${there.join(' ')}`);
    await page.waitForTimeout(200);
  }
}

/** The banner about the stream; empty when there is none. */
export async function streamBanner(page) {
  const b = page.locator(id('stream-banner'));
  return (await b.count()) ? (await b.textContent()).trim() : '';
}

export async function expectGapClosed(page) {
  await page.waitForSelector(id('gap-closed'));
  return (await page.textContent(id('gap-closed'))).trim();
}

/** Saves a picture when SCREENSHOTS names a folder. */
export async function picture(page, name) {
  const folder = process.env.SCREENSHOTS;
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`) });
}
