// The pictures of the documentation, taken of a running demo: BASE_URL, ACCOUNT, PASSWORD say where and who, SCREENSHOTS where to.
// Waits until three alerts have come and people have checked in, so that there is something to see.

import * as c from './console.mjs';

const { BASE_URL, ACCOUNT, PASSWORD } = process.env;
const { browser, page } = await c.launch(BASE_URL, { width: 1920, height: 1080 });
try {
  await c.login(page, ACCOUNT, PASSWORD);
  const known = [];
  while (known.length < 3) known.push(await c.expectAlertLive(page, known, 240_000));
  await page.waitForTimeout(9_000); // the map comes back to the whole city
  await c.picture(page, 'wall');
  await c.openAlert(page, known[0]);
  await c.acknowledge(page);
  await page.waitForTimeout(2_000);
  await c.picture(page, 'alert');
} finally {
  await browser.close();
}
