// The main job, in a browser: log in, an alert arrives live, take charge, note, close; and a line that is lost loses nothing.
// BASE_URL, ACCOUNT, PASSWORD say where and who; hooks.mjs how alerts are caused. Run: node e2e/scenario.test.mjs

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import * as c from './console.mjs';
import { close as closeHooks, need } from './hooks.mjs';
import { Line } from './line.mjs';

const { BASE_URL, ACCOUNT, PASSWORD } = process.env;
assert.ok(BASE_URL && ACCOUNT && PASSWORD, 'BASE_URL, ACCOUNT and PASSWORD are needed');

describe('console', { concurrency: false }, () => {
  let line, browser, context, page, alert;

  before(async () => {
    line = await Line.to(BASE_URL);
    ({ browser, context, page } = await c.launch(line.url));
  });
  after(async () => {
    await browser?.close();
    await line?.close();
    closeHooks();
  });

  it('says plainly that a password is wrong, and keeps the name', async () => {
    await c.tryLogin(page, ACCOUNT, `${PASSWORD}x`);
    assert.match(await c.loginError(page), /不正确/);
    assert.equal(await page.inputValue('[data-testid="login-name"]'), ACCOUNT);
  });

  it('shows the wall, live', async () => {
    await c.login(page, ACCOUNT, PASSWORD);
    await c.expectQueueComplete(page, context, line.url);
    await page.waitForSelector('.map canvas');
    await c.picture(page, 'wall');
  });

  it('shows an alert when it happens', async () => {
    const known = await c.queue(page);
    await need('alert');
    alert = await c.expectAlertLive(page, known);
    await page.waitForSelector(`[data-testid="queue-row"][data-id="${alert}"]`);
    await c.picture(page, 'wall-alert');
  });

  it('is taken charge of, noted and closed', async () => {
    await c.openAlert(page, alert);
    assert.notEqual(await c.sentence(page), '');
    assert.equal(await c.personShown(page), false);
    await c.picture(page, 'alert');
    await c.acknowledge(page);
    assert.equal((await c.told(page)).kind, 'done');
    assert.equal(await c.personShown(page), true);
    await c.note(page, '已电话联系本人，要求立即返回');
    await c.picture(page, 'alert-taken');
    await c.close(page, 'substantiated', '本人承认外出未请假，已返回');
    await c.picture(page, 'alert-closed');
    await c.toWall(page);
    assert.ok(!(await c.expectQueueComplete(page, context, line.url)).includes(alert));
  });

  it('misses nothing while the line is cut', async () => {
    await c.expectStream(page, 'live');
    const known = await c.queue(page), snapshots = page.snapshots;
    line.cut();
    await c.expectStream(page, 'reconnecting');
    assert.match(await c.streamBanner(page), /请勿据此判断/);
    await c.picture(page, 'wall-reconnecting');
    await need('alerts:2');
    line.mend();
    await c.expectStream(page, 'live');
    await c.expectAlertLive(page, known);
    const now = await c.expectQueueComplete(page, context, line.url);
    assert.ok(now.filter((n) => !known.includes(n)).length >= 2, `two more than ${known}, got ${now}`);
    assert.match(await c.expectGapClosed(page), /已全部补齐/);
    assert.equal(page.snapshots, snapshots, 'resumed from its position, not from a new snapshot');
  });

  it('is not calm when data stop without a word', async () => {
    line.freeze();
    await c.expectStream(page, 'stalled');
    assert.match(await c.streamBanner(page), /停止更新/);
    await c.picture(page, 'wall-stalled');
    line.mend();
    await c.expectStream(page, 'live');
  });

  it('kept to its server, its policy and its catalogue', async () => {
    assert.deepEqual(page.left, []);
    assert.deepEqual(page.broken, []);
  });
});
