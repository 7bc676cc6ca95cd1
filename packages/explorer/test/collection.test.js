/** A collection of dictionaries on the built page, in a real browser, as a reader uses it. */
import assert from 'node:assert/strict';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { openCollection } from '../../monoseme/dist/collection/index.js';
import { selectBackend } from '../../monoseme/dist/kernels/index.js';
import { serveExplorer } from '../../monoseme/dist/server/index.js';
import { liveParts } from '../../monoseme/dist/testing/live-parts.js';
import { buildSmallCollection } from '../../monoseme/dist/testing/small-collection.js';
import { temporaryFolder } from './browser.js';
import { browser, checkViews, noOverflow, openTab, page, SIZES, skip, FEATURE } from './page.js';

const folder = temporaryFolder();
let server;
before(async () => {
  await buildSmallCollection(join(folder.path, 'runs'));
  const collection = await openCollection([join(folder.path, 'runs')], await selectBackend());
  const openMember = async (name) => (name === 'small' ? liveParts() : undefined);
  server = await serveExplorer({ index: collection, page, port: 0, openMember });
});
after(async () => {
  await browser?.close();
  await server?.close();
  folder.remove();
});

const open = (hash, options = SIZES.desktop) => openTab(server.url, hash, options);
/** What a page says once it has followed its address. */
async function eventually(read, expected) {
  for (let i = 0; i < 100 && !isDeepStrictEqual(await read(), expected); i++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(await read(), expected);
}
const memberNames = (tab) => tab.locator('.members a.member').allInnerTexts();

describe('a collection', { skip }, () => {
  for (const [size, options] of Object.entries(SIZES)) {
    test(`${size}: its table is sorted by any figure, and the address keeps the order`, async () => {
      const { tab, complaints, close } = await open('#/', options);
      await tab.locator('.members tbody tr').first().waitFor();
      await eventually(() => memberNames(tab), ['coarse', 'fine', 'small']);
      await tab.locator('.members th a', { hasText: 'L0' }).click();
      await tab.waitForURL(/by=l0/);
      await eventually(() => memberNames(tab), ['coarse', 'small', 'fine']);
      await tab.locator('.members th a', { hasText: 'Loss recovered' }).click();
      await tab.locator('th[aria-sort=ascending]', { hasText: 'Loss recovered' }).waitFor();
      await tab.locator('.members th a', { hasText: 'Loss recovered' }).click();
      await tab.waitForURL(/order=desc/);
      await eventually(() => memberNames(tab), ['small', 'fine', 'coarse']);
      assert.equal(await tab.locator('th[aria-sort=descending]').count(), 1);
      await tab.reload();
      await tab.locator('.members tbody tr').first().waitFor();
      await eventually(() => memberNames(tab), ['small', 'fine', 'coarse']);
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
    for (const tick of await tab.locator('.pareto .tick text').allTextContents())
      assert.match(tick, /^−?[\d,]+(\.\d*[1-9])?( %)?$/);
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
    await tab.locator(`${FEATURE} .example`).first().waitFor();
    assert.match(tab.url(), /of=coarse/);
    await tab.goto(`${server.url}#/feature/40?of=fine`);
    await tab.getByRole('heading', { name: 'Feature 40' }).waitFor();
    await tab.getByRole('link', { name: 'Collection' }).click();
    await tab.locator('.members tbody tr').first().waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a feature is looked up in the other dictionaries, and opens there and side by side', async () => {
    const { tab, complaints, close } = await open('#/feature/3?of=coarse');
    await tab.getByRole('button', { name: 'look in 2' }).click();
    const panel = tab.locator(`${FEATURE} .panel`, { hasText: 'In other dictionaries' });
    await panel.locator('tbody tr').first().waitFor();
    assert.match(await panel.locator('tr', { hasText: 'small' }).innerText(), /small\s+6 0\.949\s+7 0\.707/);
    await panel.getByRole('link', { name: '6', exact: true }).click();
    await tab.getByRole('heading', { name: 'Feature 6' }).waitFor();
    assert.match(tab.url(), /of=small/);
    await tab.goBack();
    await panel.getByRole('link', { name: 'small' }).click();
    await tab.locator('.pair-head h2', { hasText: 'small 6' }).waitFor();
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

describe('dictionaries of a sweep', { skip }, () => {
  const name = (k) => `small-model_blocks.0.mlp.hook_post_batchtopk_k-${k}_learning-rate-shape-cosine_24`;
  let sweep;
  before(async () => {
    for (const k of [16, 32])
      cpSync(join(folder.path, 'runs/small'), join(folder.path, 'sweep', name(k)), { recursive: true });
    const collection = await openCollection([join(folder.path, 'sweep')], await selectBackend());
    sweep = await serveExplorer({ index: collection, page, port: 0 });
  });
  after(() => sweep?.close());

  test('two of the same figures are one dot, and each is opened from it, by the part of its name that tells it', async () => {
    const { tab, complaints, close } = await openTab(sweep.url, '#/');
    await tab.locator('.pareto .dot').first().waitFor();
    assert.equal(await tab.locator('.pareto .dot').count(), 1);
    assert.equal(await tab.locator('.pareto g:has(.dot) text').innerHTML(), '2');
    await tab.locator('.pareto .dot').hover();
    const links = tab.locator('.pareto figcaption a');
    const short = (k) => `batchtopk_k-${k}_learning-rate-shape-cosine_24`;
    assert.deepEqual(await links.allInnerTexts(), [short(16), short(32)]);
    await links.last().click();
    await tab.locator('.rows .row').first().waitFor();
    assert.equal(new URLSearchParams(new URL(tab.url()).hash.split('?')[1]).get('of'), name(32));
    assert.deepEqual(complaints, []);
    await close();
  });

  for (const [size, options] of Object.entries(SIZES))
    test(`${size}: their long names widen no view`, async () => {
      const compared = `#/compare?a=${name(16)}&b=${name(32)}`;
      for (const [hash, shown] of [
        ['#/', '.members tbody tr'],
        [compared, '.side-by-side li'],
        [`#/feature/3?of=${name(16)}`, '.example'],
      ]) {
        const { tab, close } = await openTab(sweep.url, hash, options);
        await tab.locator(shown).first().waitFor();
        assert.ok(await noOverflow(tab), hash);
        await close();
      }
    });
});

describe('two dictionaries compared', { skip }, () => {
  test('ticked in the table; pairs by cosine; a pair with its examples in the same text', async () => {
    const { tab, complaints, close } = await open('#/');
    await tab.getByLabel('Compare coarse').check();
    await tab.getByLabel('Compare small').check();
    await tab.getByRole('link', { name: 'Compare coarse with small' }).click();
    await tab.locator('.pairs tbody tr').first().waitFor();
    // Coarse 3 is nearest to small 6, whose direction leans on input 7.
    assert.match(await tab.locator('.pairs tbody tr').first().innerText(), /^3\s.*0\.949\s+6\s/s);
    assert.match(await tab.locator('.compare-list > p').innerText(), /median cosine is 0\.707/);
    await tab.locator('.side-by-side li').first().waitFor();
    await tab.getByRole('radio', { name: 'by number' }).click();
    await tab.waitForURL(/order=number/);
    await tab.locator('.pairs a').first().click();
    await tab.waitForURL(/#\/compare\/0\?/);
    // Coarse 0 fires on what small 0 or 1 fires on: all of small 0's strongest examples are among its firings.
    const rows = tab.locator('.side-by-side li');
    await rows.first().waitFor();
    const [first, second] = await rows
      .first()
      .locator('.t.peak')
      .evaluateAll((spans) => spans.map((span) => span.textContent));
    assert.equal(first, second);
    await tab.locator('.nearest a').nth(1).click();
    await tab.waitForURL(/match=1/);
    await tab.locator('.pair-head h2', { hasText: 'small 1' }).waitFor();
    const again = await open(new URL(tab.url()).hash);
    await again.tab.locator('.pair-head h2', { hasText: 'small 1' }).waitFor();
    assert.deepEqual([...complaints, ...again.complaints], []);
    await again.close();
    await close();
  });

  test('phone: a pair that is chosen far down the list comes into sight', async () => {
    const { tab, complaints, close } = await openTab(
      server.url,
      '#/compare?a=coarse&b=small&order=number',
      SIZES.phone,
    );
    await tab.locator('.side-by-side li').first().waitFor();
    assert.equal(await tab.evaluate(() => scrollY), 0);
    await tab.locator('.pairs a').last().click();
    await tab.waitForURL(/#\/compare\/11\?/);
    await tab.waitForFunction(() => {
      const { top } = document.querySelector('.pair').getBoundingClientRect();
      return top >= 0 && top < innerHeight / 2;
    });
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a bar of the cosines chooses pairs; two that cannot be matched are said to be so', async () => {
    const { tab, complaints, close } = await open('#/compare?a=coarse&b=small');
    await tab.locator('.pairs tbody tr').first().waitFor();
    assert.equal(await tab.locator('.pairs tbody tr').count(), 12);
    const box = await tab.locator('.compare-list svg').first().boundingBox();
    await tab.mouse.click(box.x + box.width * 0.949, box.y + box.height / 2);
    await tab.waitForURL(/bin=37/);
    await eventually(() => tab.locator('.pairs tbody tr .latent').allInnerTexts(), ['3', '6']);
    await tab.goto(`${server.url}#/compare?a=small&b=small`);
    await tab.getByText('Choose two dictionaries').waitFor();
    await tab.goto(`${server.url}#/compare?a=small&b=nothing`);
    await tab.getByText('There is no dictionary nothing here').waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });
});

describe('the model of a dictionary', { skip }, () => {
  test('reads text and steers where the dictionary has one; where it has none that is said', async () => {
    const { tab, complaints, close } = await open('#/text?of=small&a=a+cat');
    await tab.locator('.feature-list tr').first().waitFor();
    await tab.getByRole('link', { name: 'Steer' }).click();
    await tab.waitForURL(/#\/steer\?of=small/);
    await tab.goto(`${server.url}#/steer/3?of=small&run=1&tokens=3`);
    await tab.locator('.card').nth(1).waitFor();
    assert.deepEqual(complaints, []);
    await tab.goto(`${server.url}#/text?of=coarse`);
    await tab.getByText('No model is running here').waitFor();
    await close();
  });
});

describe('what a view shows, as files', { skip }, () => {
  const views = {
    collection: [
      '#/',
      '.members tbody tr',
      'members',
      'collection',
      ['24 features', '12 features', '48 features'],
    ],
    compare: ['#/compare?a=coarse&b=small', '.pairs tbody tr', 'pairs', 'coarse--small', []],
    family: [
      '#/families/3?of=coarse',
      '.node.root',
      'nodes',
      'family-coarse-3',
      ['coarse', '3', 'small', '7'],
    ],
  };
  for (const [name, [hash, shown, key, file, words]] of Object.entries(views))
    test(name, async () => {
      const { tab, complaints, close } = await open(hash);
      await tab.locator(shown).first().waitFor();
      const saved = async (button) => {
        const [download] = await Promise.all([
          tab.waitForEvent('download'),
          tab.getByRole('button', { name: button, exact: true }).click(),
        ]);
        return { name: download.suggestedFilename(), text: readFileSync(await download.path(), 'utf8') };
      };
      const json = await saved('JSON');
      assert.equal(json.name, `${file}.json`);
      assert.ok(JSON.parse(json.text)[key].length > 1);
      const svg = await saved('SVG');
      assert.equal(svg.name, `${file}.svg`);
      // A picture of its own: drawn, without a style sheet.
      const lone = await tab.evaluate((text) => {
        const parsed = new globalThis.DOMParser().parseFromString(text, 'image/svg+xml');
        const shapes = [...parsed.querySelectorAll('path, rect, polyline')];
        return {
          isWhole: parsed.querySelector('parsererror') === null,
          coloured: shapes.filter((shape) => /^rgb/.test(shape.getAttribute('fill'))).length,
          words: [...parsed.querySelectorAll('text')].map(({ textContent }) => textContent),
        };
      }, svg.text);
      assert.ok(lone.isWhole && lone.coloured > 2);
      for (const word of words) assert.ok(lone.words.includes(word), `${word}: ${lone.words}`);
      assert.doesNotMatch(svg.text, / (class|style)="/);
      assert.deepEqual(complaints, []);
      await close();
    });
});

describe('families', { skip }, () => {
  const nodes = (tab, layer) => tab.locator(`section[aria-label^="${layer},"] .node`).allInnerTexts();

  test('a feature, what it splits into and what that comes from', async () => {
    const { tab, complaints, close } = await open('#/families/3?of=coarse');
    await tab.locator('.node.root').waitFor();
    const numbers = async (layer) =>
      (await nodes(tab, layer)).map((text) => parseInt(text)).sort((a, b) => a - b);
    assert.deepEqual(await numbers('coarse'), [3]);
    assert.deepEqual(await numbers('small'), [6, 7]);
    assert.deepEqual(await numbers('fine'), [12, 13, 14, 15]);
    assert.equal(await tab.locator('.family-examples li').count(), 7);
    await tab.locator('.node', { hasText: /^14/ }).click();
    await tab.waitForURL(/families\/14\?of=fine/);
    await tab.locator('.node.root', { hasText: /^14/ }).waitFor();
    assert.deepEqual(await numbers('coarse'), [3]);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('the cosine from which features are joined, in the address; the largest families', async () => {
    const { tab, complaints, close } = await open('#/families/3?of=coarse&least=0.8');
    await tab.locator('.node.root').waitFor();
    assert.deepEqual(
      (await nodes(tab, 'small')).map((text) => parseInt(text)),
      [6],
    );
    await tab.getByRole('link', { name: 'or list the largest' }).click();
    await tab.getByText('Largest families').waitFor();
    await tab.goto(`${server.url}#/families?of=coarse`);
    await tab.getByText('12 split at all').waitFor();
    await tab.locator('.family-examples a').first().click();
    await tab.locator('.node.root').waitFor();
    await tab.goto(`${server.url}#/families/999?of=coarse`);
    await tab.getByText('There is no feature 999').waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });
});

describe('accessibility (axe)', { skip }, () => {
  const views = {
    collection: ['#/?pick=small,fine', '.members tbody tr'],
    multiples: ['#/?as=multiples', '.multiples li'],
    compare: ['#/compare/5?a=small&b=fine', '.side-by-side li'],
    family: ['#/families/3?of=coarse', '.node.root'],
    families: ['#/families?of=coarse', '.family-examples a'],
  };
  for (const size of Object.keys(SIZES)) {
    for (const colorScheme of ['light', 'dark']) {
      test(`${size}, ${colorScheme}: no violations`, () => checkViews(server.url, views, size, colorScheme));
    }
  }
});
