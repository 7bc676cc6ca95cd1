/** What the tests of the page share: the built page, windows, a tab on which every complaint is an error, axe. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import axe from 'axe-core';
import { launchBrowser } from './browser.js';

export const page = fileURLToPath(new URL('../dist/page/', import.meta.url));
assert.ok(existsSync(join(page, 'index.html')), 'The page is not built: run npm run build.');

const launched = await launchBrowser();
if (!launched.browser && process.env.CI) throw new Error(`No browser starts: ${launched.reason}`);
export const browser = launched.browser;
export const skip = browser ? false : `no browser starts: ${launched.reason}`;

/** The feature that is shown: others are made beforehand, out of sight. */
export const FEATURE = '.feature:not(.ahead)';

export const SIZES = {
  desktop: { viewport: { width: 1440, height: 900 } },
  phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
};

/** A tab on which every complaint of the browser is an error of the test. */
export async function openTab(base, hash, options = SIZES.desktop) {
  const context = await browser.newContext(options);
  const tab = await context.newPage();
  const complaints = [];
  tab.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  tab.on('pageerror', (error) => complaints.push(error.message));
  tab.on('request', (request) => {
    if (!request.url().startsWith(new URL(base).origin) && !request.url().startsWith('blob:'))
      complaints.push(`asked ${request.url()}`);
  });
  await tab.goto(base + hash);
  return { tab, complaints, close: () => context.close() };
}

export const noOverflow = (tab) =>
  tab.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth);

/** Complaints of axe about what is shown. */
async function axeViolations(tab) {
  await tab.evaluate(axe.source);
  // What is being laid out out of sight is hidden from everyone two frames later.
  const { violations } = await tab.evaluate(() => globalThis.axe.run({ exclude: ['.ahead:not(.drawn)'] }));
  return violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`,
  );
}

/**
 * Views at one size and in one scheme: none has violations, is wider than the window or complains. Pictures of them are
 * kept in the folder SCREENSHOTS, where that is set.
 *
 * @param views by name: address, and what is there once the view is
 */
export async function checkViews(base, views, size, colorScheme) {
  const screenshots = process.env.SCREENSHOTS;
  const found = [];
  for (const [name, [hash, shown]] of Object.entries(views)) {
    const { tab, complaints, close } = await openTab(base, hash, { ...SIZES[size], colorScheme });
    await tab.locator(shown).first().waitFor();
    if (screenshots) await tab.screenshot({ path: join(screenshots, `${name}-${size}-${colorScheme}.png`) });
    found.push(...(await axeViolations(tab)).map((violation) => `${name}: ${violation}`));
    assert.ok(await noOverflow(tab), `${name} is wider than the window`);
    assert.deepEqual(complaints, [], name);
    await close();
  }
  assert.deepEqual(found, []);
}
