/** A collection of dictionaries on the built page, in a real browser, as a reader uses it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openCollection } from '../../monoseme/dist/collection/index.js';
import { selectBackend } from '../../monoseme/dist/kernels/index.js';
import { serveExplorer } from '../../monoseme/dist/server/index.js';
import { buildSmallCollection } from '../../monoseme/dist/testing/small-collection.js';
import { temporaryFolder } from './browser.js';
import { browser, checkViews, noOverflow, openTab, page, SIZES, skip } from './page.js';

const folder = temporaryFolder();
let server;
before(async () => {
  await buildSmallCollection(join(folder.path, 'runs'));
  const collection = await openCollection([join(folder.path, 'runs')], await selectBackend());
  server = await serveExplorer({ index: collection, page, port: 0 });
});
after(async () => {
  await browser?.close();
  await server?.close();
  folder.remove();
});

const open = (hash, options = SIZES.desktop) => openTab(server.url, hash, options);
const memberNames = (tab) => tab.locator('.members a.member').allInnerTexts();

describe('a collection', { skip }, () => {
  for (const [size, options] of Object.entries(SIZES)) {
    test(`${size}: its table is sorted by any figure, and the address keeps the order`, async () => {
      const { tab, complaints, close } = await open('#/', options);
      await tab.locator('.members tbody tr').first().waitFor();
      assert.deepEqual(await memberNames(tab), ['coarse', 'fine', 'small']);
      await tab.locator('.members th a', { hasText: 'L0' }).click();
      await tab.waitForURL(/by=l0/);
      assert.deepEqual(await memberNames(tab), ['coarse', 'small', 'fine']);
      await tab.locator('.members th a', { hasText: 'Loss recovered' }).click();
      await tab.locator('.members th a', { hasText: 'Loss recovered' }).click();
      await tab.waitForURL(/order=desc/);
      assert.deepEqual(await memberNames(tab), ['small', 'fine', 'coarse']);
      assert.equal(await tab.locator('th[aria-sort=descending]').count(), 1);
      await tab.reload();
      await tab.locator('.members tbody tr').first().waitFor();
      assert.deepEqual(await memberNames(tab), ['small', 'fine', 'coarse']);
      assert.match(await tab.locator('.members tbody tr').first().innerText(), /24\s+3\.25\s+95\.0 %/);
      assert.equal(await tab.locator('.members svg.strip').count(), 3);
      assert.ok(await noOverflow(tab));
      assert.deepEqual(complaints, []);
      await close();
    });
  }

  test('the plot draws the front: what another beats is not on it', async () => {
    const { tab, complaints, close } = await open('#/');
    await tab.locator('.pareto .dot').first().waitFor();
    assert.equal(await tab.locator('.pareto .dot').count(), 3);
    // `fine` uses more features than `small` and keeps less.
    const front = await tab.locator('.pareto .front').getAttribute('points');
    assert.equal(front.split(' ').length, 2);
    await tab.locator('.pareto .dot').last().hover();
    assert.match(
      await tab.locator('.pareto figcaption').innerText(),
      /^fine · L0 5\.50 · 94\.0 % of the loss$/,
    );
    await tab.getByRole('radio', { name: 'variance explained' }).click();
    await tab.waitForURL(/kept=explained_variance/);
    assert.equal((await tab.locator('.pareto .front').getAttribute('points')).split(' ').length, 1);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a dictionary opens, its features keep its name, and the header leads back', async () => {
    const { tab, complaints, close } = await open('#/');
    await tab.locator('.members a.member', { hasText: 'coarse' }).click();
    await tab.locator('.rows .row').first().waitFor();
    assert.match(await tab.locator('#list-title').innerText(), /^12 features/);
    await tab.locator('.rows .row').first().click();
    await tab.locator('.example').first().waitFor();
    assert.match(tab.url(), /of=coarse/);
    await tab.goto(`${server.url}#/feature/40?of=fine`);
    await tab.getByRole('heading', { name: 'Feature 40' }).waitFor();
    await tab.getByRole('link', { name: 'Collection' }).click();
    await tab.locator('.members tbody tr').first().waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  test('small multiples say the same in the same order', async () => {
    const { tab, close } = await open('#/?as=multiples&by=d_sae&order=desc');
    await tab.locator('.multiples li').first().waitFor();
    assert.deepEqual(await tab.locator('.multiples a.member').allInnerTexts(), ['fine', 'small', 'coarse']);
    assert.match(await tab.locator('.multiples li').first().innerText(), /Loss recovered\s+94\.0 %/);
    await close();
  });

  test('a dictionary that is not there is answered in words', async () => {
    const { tab, close } = await open('#/?of=nothing');
    await tab.getByText('There is no dictionary nothing here').waitFor();
    await tab.getByRole('link', { name: 'Back to the collection' }).click();
    await tab.locator('.members tbody tr').first().waitFor();
    await close();
  });
});

describe('accessibility (axe)', { skip }, () => {
  const views = {
    collection: ['#/?pick=small,fine', '.members tbody tr'],
    multiples: ['#/?as=multiples', '.multiples li'],
  };
  for (const size of Object.keys(SIZES)) {
    for (const colorScheme of ['light', 'dark']) {
      test(`${size}, ${colorScheme}: no violations`, () => checkViews(server.url, views, size, colorScheme));
    }
  }
});
