/** Two models with different tokenizers on the built page: features matched by what fires together, examples by their text. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openCollection } from '../../monoseme/dist/collection/index.js';
import { selectBackend } from '../../monoseme/dist/kernels/index.js';
import { serveExplorer } from '../../monoseme/dist/server/index.js';
import { addOtherModel, buildSmallCollection } from '../../monoseme/dist/testing/small-collection.js';
import { SMALL_LATENTS } from '../../monoseme/dist/testing/small-index.js';
import { temporaryFolder } from './browser.js';
import { browser, checkViews, openTab, page, SIZES, skip } from './page.js';

const folder = temporaryFolder();
let server;
before(async () => {
  const runs = join(folder.path, 'runs');
  await buildSmallCollection(runs);
  await addOtherModel(runs);
  const collection = await openCollection([runs], await selectBackend());
  server = await serveExplorer({ index: collection, page, port: 0 });
});
after(async () => {
  await browser?.close();
  await server?.close();
  folder.remove();
});

describe('two models', { skip }, () => {
  test('features by correlation; an example of both in one row, each as its own tokens', async () => {
    const { tab, complaints, close } = await openTab(server.url, '#/compare?a=small&b=other');
    await tab.locator('.pairs tbody tr').first().waitFor();
    const told = await tab.locator('.compare-list > p').innerText();
    assert.match(told, /activations correlate most .* median correlation is 0\.\d+/s);
    assert.doesNotMatch(told, /each other/);
    assert.match(await tab.locator('.pairs tbody tr').first().innerText(), /^0\s.*1\.00\s+0\s/s);
    await tab.goto(`${server.url}#/compare/${SMALL_LATENTS.cat}?a=small&b=other`);
    await tab.locator('.side-by-side li').first().waitFor();
    const rows = await tab.locator('.side-by-side li').evaluateAll((items) =>
      items.map((item) =>
        [...item.querySelectorAll('.example-side')].map((side) => ({
          value: side.querySelector('.value').textContent,
          peak: side.querySelector('.peak').textContent,
          after: side.querySelector('.after').textContent.trim(),
        })),
      ),
    );
    // It fires equally in both, so that the same examples are the strongest.
    const ofBoth = rows.filter((sides) => sides.every(({ value }) => value !== '–'));
    assert.ok(ofBoth.length >= 6, `${ofBoth.length} of ${rows.length}`);
    for (const [a, b] of ofBoth) {
      assert.deepEqual([a.peak, b.peak], [' cat', 'cat']);
      assert.equal(a.value, b.value);
      // As far as the contexts of both go.
      const n = Math.min(12, a.after.length, b.after.length);
      assert.equal(b.after.slice(0, n), a.after.slice(0, n));
    }
    assert.deepEqual(complaints, []);
    await close();
  });

  test('the other way was not compared, and the page says how it can be', async () => {
    const { tab, close } = await openTab(server.url, '#/compare?a=other&b=small');
    const notice = tab.getByRole('alert');
    await notice.getByText('These two cannot be matched').waitFor();
    await notice.getByText(/monoseme analyze universality/).waitFor();
    await close();
  });

  for (const size of Object.keys(SIZES))
    test(`${size}: no violations`, () =>
      checkViews(
        server.url,
        { universality: ['#/compare?a=small&b=other', '.side-by-side li'] },
        size,
        'light',
      ));
});
