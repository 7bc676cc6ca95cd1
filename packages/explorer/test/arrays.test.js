/** An index of a model that reads arrays: its examples are samples, drawn as a cell for each place. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { serveExplorer } from '../../monoseme/dist/server/index.js';
import {
  buildSmallIndex,
  SMALL_LATENTS,
  smallSource,
  smallText,
} from '../../monoseme/dist/testing/small-index.js';
import { temporaryFolder } from './browser.js';
import { browser, checkViews, openTab, page, SIZES, skip, FEATURE } from './page.js';

const [CHANNELS, PATCHES] = [4, 16];
const folder = temporaryFolder();
let server;
before(async () => {
  const text = smallText(60, CHANNELS * PATCHES);
  const textOf = (place) => `⟨channel ${Math.floor(place / PATCHES)}, patch ${place % PATCHES}⟩`;
  const axes = [
    { name: 'channel', size: CHANNELS },
    { name: 'patch', size: PATCHES },
  ];
  await buildSmallIndex(join(folder.path, 'index'), {
    source: { ...smallSource(text), axes },
    tokenSet: { ...text, tokens: text.tokens.map((_, i) => i % text.contextSize) },
    tokenizer: {
      vocabSize: text.contextSize,
      tokenText: textOf,
      tokenBytes: (place) => new TextEncoder().encode(textOf(place)),
    },
    jacobian: undefined,
  });
  server = await serveExplorer({ index: join(folder.path, 'index'), page, port: 0 });
});
after(async () => {
  await browser?.close();
  await server?.close();
  folder.remove();
});

describe('an index of arrays', { skip }, () => {
  test('a sample is a grid of its places, with the peak where it is', async () => {
    const { tab, complaints, close } = await openTab(server.url, '#/');
    await tab.getByText('Places read').waitFor();
    await tab.locator('.rows .row .sample .peak').first().waitFor();
    await tab.goto(`${server.url}#/feature/${SMALL_LATENTS.cat}`);
    const sample = tab.locator(`${FEATURE} .example .sample`).first();
    await sample.waitFor();
    const cells = await sample.evaluate((grid) => [grid.children.length, grid.textContent]);
    assert.deepEqual(cells, [CHANNELS * PATCHES, '']);
    await sample.locator('.peak').hover();
    const told = await tab.locator('.tooltip').innerText();
    const [, channel, patch] = /channel (\d+), patch (\d+)/.exec(told);
    const place = await sample.locator('.peak').evaluate(({ style }) => style.gridArea);
    assert.equal(place.split(' / ').slice(0, 2).join(), [Number(channel) + 1, Number(patch) + 1].join());
    assert.equal(await tab.getByRole('radiogroup', { name: 'Text around the peak' }).count(), 0);
    assert.deepEqual(complaints, []);
    await close();
  });

  for (const size of Object.keys(SIZES))
    test(`${size}: no violations`, () =>
      checkViews(
        server.url,
        { 'array-list': ['#/', '.row .sample'], 'array-feature': ['#/feature/0', '.example .sample'] },
        size,
        'light',
      ));
});
