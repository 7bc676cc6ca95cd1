/** The built page over a small real index, in a real browser, as a reader uses it. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  addExplanations,
  importDashboards,
  openFeatureIndex,
  sourceNames,
  writeSaedashboard,
} from '../../monoseme/dist/features/index.js';
import { serveExplorer } from '../../monoseme/dist/server/index.js';
import {
  buildSmallIndex,
  SMALL_D_SAE,
  SMALL_LATENTS,
  smallText,
} from '../../monoseme/dist/testing/small-index.js';
import { liveParts } from '../../monoseme/dist/testing/live-parts.js';
import { temporaryFolder } from './browser.js';
import { browser, checkViews, noOverflow, openTab, page, SIZES, skip } from './page.js';

const folder = temporaryFolder();
let server;
let liveServer;
let live;
before(async () => {
  await buildSmallIndex(join(folder.path, 'index'));
  const explanations = join(folder.path, 'explanations.jsonl');
  writeFileSync(
    explanations,
    `{"latent": ${SMALL_LATENTS.cat}, "text": "the word <b>cat</b>", "model": "some-model", "score": 0.75}\n` +
      `{"latent": ${SMALL_LATENTS.accent}, "text": "letters with an accent"}\n`,
  );
  await addExplanations(join(folder.path, 'index'), [explanations]);
  server = await serveExplorer({ index: join(folder.path, 'index'), page, port: 0 });
  live = await liveParts();
  liveServer = await serveExplorer({ index: join(folder.path, 'index'), page, port: 0, live });
});
after(async () => {
  await browser?.close();
  await server?.close();
  await liveServer?.close();
  await live?.runner.close();
  folder.remove();
});

const open = (hash, options = SIZES.desktop, base = server.url) => openTab(base, hash, options);

const rowNumbers = (tab) => tab.locator('.rows .row .number').allInnerTexts();
describe('the page', { skip }, () => {
  for (const [size, options] of Object.entries(SIZES)) {
    test(`${size}: from the list to a feature and back`, async () => {
      const { tab, complaints, close } = await open('#/', options);
      await tab.locator('.rows .row').first().waitFor();
      assert.equal(await tab.locator('h1').innerText(), 'small-model');
      const figures = await tab.locator('.overview .figures').innerText();
      assert.match(figures, /3\.25/);
      assert.match(figures, /95\.0 %/);
      assert.match(figures, /87\.5 %/);
      assert.match(await tab.locator('#list-title').innerText(), new RegExp(`^${SMALL_D_SAE - 1} features`));
      assert.ok(await noOverflow(tab));

      await tab
        .locator('.rows .row', { hasText: 'cat' })
        .first()
        .locator('.t.peak', { hasText: 'cat' })
        .waitFor();
      await tab.selectOption('.sort select', 'max_activation');
      await tab.waitForURL(/sort=max_activation/);
      const shown = () => tab.locator('.rows .row .max').allInnerTexts();
      await tab.waitForFunction(() => Number(document.querySelector('.rows .row .max')?.textContent) > 20);
      const largest = (await shown()).map(Number);
      assert.deepEqual(
        largest,
        [...largest].sort((a, b) => b - a),
      );

      await tab.locator('.rows .row').first().click();
      await tab.locator('.example').first().waitFor();
      assert.match(await tab.locator('h1').innerText(), /^Feature\s+\d+$/);
      assert.match(await tab.locator('.place').innerText(), /^1 of 23/);
      assert.ok(await noOverflow(tab));
      await tab.getByLabel('Next feature (j)').click();
      await tab.getByText('2 of 23 in the list').waitFor();
      await tab.goBack();
      await tab.getByText('1 of 23 in the list').waitFor();
      await tab.getByLabel('Back to the list').click();
      await tab.locator('.rows .row').first().waitFor();
      assert.match(tab.url(), /sort=max_activation/);
      assert.deepEqual(complaints, []);
      await close();
    });

    test(`${size}: what a feature's page says`, async () => {
      const { tab, complaints, close } = await open(`#/feature/${SMALL_LATENTS.cat}`, options);
      await tab.locator('.feature[aria-busy="false"]').waitFor();
      const peaks = await tab.locator('.example .t.peak').allTextContents();
      assert.ok(peaks.length > 40);
      assert.ok(peaks.every((text) => text === ' cat'));
      assert.deepEqual(
        (await tab.locator('.group h2').allTextContents()).map((title) => title.split(' ')[0])[0],
        'Top',
      );
      assert.ok((await tab.locator('.group').count()) > 8);
      assert.equal(await tab.locator('.token-table.raises code').first().textContent(), '␣sat');
      assert.equal(await tab.locator('.token-table.lowers code').first().textContent(), '.');
      assert.match(await tab.locator('.legend').getAttribute('aria-label'), /from 0 to 1\.2/);
      // One scale: a token's colour says how its activation compares with the largest of all.
      const [first, second] = await tab
        .locator('.example')
        .evaluateAll((lines) =>
          [lines[0], lines.at(-1)].map((line) => [
            Number(line.querySelector('.value').textContent),
            Number(line.querySelector('.t.peak').style.getPropertyValue('--a')),
          ]),
        );
      assert.equal(first[1], 1);
      assert.ok(Math.abs(second[1] - second[0] / first[0]) < 0.02);
      assert.ok(await noOverflow(tab));
      assert.deepEqual(complaints, []);
      await close();
    });
  }

  test('search by token, by text and by number, from the keyboard', async () => {
    const { tab, complaints, close } = await open('#/');
    await tab.locator('.rows .row').first().waitFor();
    await tab.keyboard.press('/');
    await tab.keyboard.type('cat');
    await tab.getByRole('option', { name: 'Fires on ␣cat' }).waitFor();
    await tab.keyboard.press('Enter');
    await tab.locator('.chip', { hasText: 'fires on ␣cat' }).waitFor();
    await tab.getByText(/matching feature/).waitFor();
    assert.ok((await rowNumbers(tab)).includes(String(SMALL_LATENTS.cat)));
    assert.ok((await rowNumbers(tab)).length < SMALL_D_SAE - 1);

    await tab.locator('.chip').click();
    await tab.getByText(`${SMALL_D_SAE - 1} features`).waitFor();
    await tab.keyboard.press('/');
    await tab.keyboard.type('whale sat');
    await tab.getByRole('option', { name: /In examples/ }).click();
    await tab.locator('.chip', { hasText: 'examples with whale sat' }).waitFor();
    await tab.getByText(/matching feature/).waitFor();
    assert.ok((await rowNumbers(tab)).slice(0, 4).includes(String(SMALL_LATENTS.afterWhale)));

    await tab.keyboard.press('/');
    await tab.keyboard.type('17');
    await tab.keyboard.press('Enter');
    await tab.getByRole('heading', { name: 'Feature 17' }).waitFor();

    await tab.goto(`${server.url}#/?promotes=${4 + 5}`);
    await tab.locator('.chip', { hasText: 'predicts ␣sat' }).waitFor();
    await tab.getByText(/matching feature/).waitFor();
    assert.equal((await rowNumbers(tab))[0], String(SMALL_LATENTS.cat));
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a list in the order of any figure, up and down', async () => {
    const { tab, complaints, close } = await open('#/');
    const index = await openFeatureIndex(join(folder.path, 'index'));
    const alive = (await index.features()).filter(({ n_fired }) => n_fired > 0);
    for (const key of ['min_logit', 'n_contexts', 'density', 'skewness'])
      for (const [dir, sign] of [
        ['asc', 1],
        ['desc', -1],
      ]) {
        const expected = alive
          .sort((a, b) => sign * (a[key] - b[key]) || a.latent_index - b.latent_index)
          .map(({ latent_index }) => String(latent_index));
        await tab.goto(`${server.url}#/?sort=${key}&dir=${dir}`);
        await tab.waitForFunction(
          (order) =>
            [...document.querySelectorAll('.rows .row .number')].map((row) => row.innerText.trim()).join() ===
            order,
          expected.join(),
        );
      }
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a list that no feature fits says so, and the next one is there again', async () => {
    const { tab, complaints, close } = await open('#/');
    await tab.locator('.rows .row').first().waitFor();
    await tab.goto(`${server.url}#/?density=-9,-8`);
    await tab.getByText('No feature fits.').waitFor();
    await tab.getByRole('link', { name: 'Show all features' }).click();
    await tab.locator('.rows .row').first().waitFor();
    assert.match(await tab.locator('#list-title').innerText(), new RegExp(`^${SMALL_D_SAE - 1} features`));
    assert.deepEqual(complaints, []);
    await close();
  });

  test('search by pattern: in examples, tokens and explanations; one that is none; one without end', async () => {
    const { tab, complaints, close } = await open('#/');
    await tab.locator('.rows .row').first().waitFor();
    await tab.keyboard.press('/');
    await tab.keyboard.type('/whale (sat|ran)/');
    await tab.getByRole('option', { name: /In examples/ }).click();
    await tab.locator('.chip', { hasText: 'examples with /whale (sat|ran)/' }).waitFor();
    await tab.getByText(/matching feature/).waitFor();
    assert.ok((await rowNumbers(tab)).slice(0, 4).includes(String(SMALL_LATENTS.afterWhale)));

    await tab.keyboard.press('/');
    await tab.keyboard.type('/^ ca?t$/');
    await tab.getByRole('option', { name: 'Fires on ␣cat' }).click();
    await tab.locator('.chip', { hasText: 'fires on ␣cat' }).waitFor();

    await tab.keyboard.press('/');
    await tab.keyboard.type('/accent$/');
    await tab.getByRole('option', { name: /Explained as/ }).click();
    await tab.locator('.chip', { hasText: 'explained as /accent$/' }).waitFor();
    await tab.getByText('1 matching feature').waitFor();
    assert.deepEqual(await rowNumbers(tab), [String(SMALL_LATENTS.accent)]);

    await tab.keyboard.press('/');
    await tab.keyboard.type('/(cat/');
    await tab.getByRole('option', { name: /No pattern.*Unterminated group/ }).waitFor();
    await tab.keyboard.press('Escape');
    assert.deepEqual(complaints, []);
    // It doubles its work with every letter of a long text without a stop.
    await tab.goto(`${server.url}#/?text=${encodeURIComponent('/^(([^!]+)+)+!!!!!$/')}`);
    await tab.getByText('It took longer than 8 seconds and was stopped').waitFor({ timeout: 20_000 });
    await tab.getByLabel('Monoseme').click();
    await tab.locator('.rows .row').first().waitFor();
    await close();
  });

  test('explanations and their scores stand on the page, as text, and are searched', async () => {
    const { tab, complaints, close } = await open(`#/feature/${SMALL_LATENTS.cat}`);
    const told = tab.locator('.explanations li');
    await told.first().waitFor();
    assert.match(await told.first().innerText(), /^the word <b>cat<\/b>\s+some-model\s+score 0\.750$/);
    await tab.keyboard.press('/');
    await tab.keyboard.type('WORD');
    await tab.getByRole('option', { name: /Explained as/ }).click();
    await tab.getByText('1 matching feature').waitFor();
    assert.deepEqual(await rowNumbers(tab), [String(SMALL_LATENTS.cat)]);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('values on hover and on keyboard focus, with a mark on the histogram', async () => {
    const { tab, complaints, close } = await open(`#/feature/${SMALL_LATENTS.cat}`);
    const line = tab.locator('.example').nth(2);
    await line.waitFor();
    const value = await line.locator('.value').innerText();
    await line.locator('.t.peak').hover();
    assert.match(await tab.locator('.tooltip').innerText(), new RegExp(`␣cat\\s+${value}`));
    assert.ok((await tab.locator('.bars .marker').count()) >= 1);
    assert.equal(await tab.locator('.bars .readout').first().innerText(), value);
    await tab.keyboard.press('c');
    await tab
      .locator('.example .t', { hasText: /^ sat$/ })
      .first()
      .hover();
    assert.match(await tab.locator('.bars .readout').nth(1).innerText(), /␣sat \+/);
    await tab.mouse.move(5, 5);
    await tab.locator('.tooltip').waitFor({ state: 'detached' });

    await line.focus();
    assert.match(await tab.locator('.tooltip').innerText(), new RegExp(value.replace('.', '\\.')));
    await tab.keyboard.press('ArrowLeft');
    assert.match(await tab.locator('.tooltip').innerText(), /does not fire/);
    await tab.keyboard.press('ArrowDown');
    assert.ok(
      await tab
        .locator('.example')
        .nth(3)
        .evaluate((element) => element === document.activeElement),
    );
    assert.deepEqual(complaints, []);
    await close();
  });

  test('characters of several tokens are one, and can be copied', async () => {
    const { tab, close } = await open(`#/feature/${SMALL_LATENTS.accent}`);
    await tab.locator('.feature[aria-busy="false"]').waitFor();
    assert.equal(await tab.locator('.example .t.peak').first().textContent(), 'é');
    assert.ok(!(await tab.locator('.examples').textContent()).includes('\\xc3'));
    assert.ok((await tab.locator('.token-table.mass').textContent()).includes('\\xc3'));
    await close();
  });

  test('more and less text, remembered', async () => {
    const { tab, close } = await open(`#/feature/${SMALL_LATENTS.cat}`);
    const length = async () => (await tab.locator('.example .text').first().textContent()).length;
    await tab.locator('.example').first().waitFor();
    const line = await length();
    await tab.getByRole('radio', { name: 'Near' }).click();
    assert.ok((await length()) < line);
    await tab.keyboard.press('c');
    await tab.keyboard.press('c');
    assert.equal(await tab.getByRole('radio', { name: 'Wide' }).getAttribute('aria-checked'), 'true');
    assert.ok((await length()) > line);
    await tab.reload();
    await tab.locator('ol.wide .example').first().waitFor();
    await close();
  });

  test('dark and light', async () => {
    const { tab, close } = await open('#/', { ...SIZES.desktop, colorScheme: 'dark' });
    await tab.locator('.rows .row').first().waitFor();
    const paper = () => tab.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const dark = await paper();
    await tab.keyboard.press('t');
    assert.notEqual(await paper(), dark);
    await close();
  });

  test('help opens, lists the keys and closes', async () => {
    const { tab, complaints, close } = await open('#/');
    await tab.locator('.rows .row').first().waitFor();
    await tab.keyboard.press('?');
    await tab.getByRole('dialog', { name: 'Reading features' }).waitFor();
    await tab.keyboard.press('Escape');
    await tab.getByRole('dialog').waitFor({ state: 'detached' });
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a feature that never fires, and one that does not exist', async () => {
    const { tab, close } = await open(`#/feature/${SMALL_LATENTS.silent}`);
    await tab.getByText('This feature never fires here').waitFor();
    await tab.goto(`${server.url}#/feature/9999`);
    await tab.getByRole('alert').getByText('There is no feature 9999').waitFor();
    await tab.getByRole('link', { name: 'Back to the list' }).click();
    await tab.locator('.rows .row').first().waitFor();
    await close();
  });

  test('choosing a bar of the density histogram filters the list', async () => {
    const { tab, close } = await open('#/');
    await tab.locator('.density rect').first().waitFor();
    const box = await tab.locator('.density svg').boundingBox();
    await tab.mouse.click(box.x + 3, box.y + box.height - 4);
    await tab.locator('.chip', { hasText: 'density' }).waitFor();
    await tab.getByText(/matching feature/).waitFor();
    assert.ok((await rowNumbers(tab)).length < SMALL_D_SAE - 1);
    await close();
  });

  test('a broken index says what is broken and what to do', async () => {
    const cases = [
      ['manifest.json', { status: 404 }, 'There is no feature index here'],
      ['manifest.json', { json: { kind: 'dictionary', details: {} } }, 'This is not a feature index'],
      [
        'manifest.json',
        { json: { kind: 'feature-index', details: { index_version: 9 } } },
        'The index is of another version',
      ],
      [
        'manifest.json',
        { json: { kind: 'feature-index', details: { index_version: 1 } } },
        'The index is of another version',
      ],
      ['features.parquet', { status: 404 }, 'A file of the index is missing'],
      ['features.parquet', { body: 'short' }, 'A file of the index is cut short'],
      ['vocabulary.json', { status: 500 }, 'The host refused a file of the index'],
    ];
    for (const [file, answer, title] of cases) {
      const context = await browser.newContext(SIZES.desktop);
      const tab = await context.newPage();
      await tab.route(`**/index/${file}`, (route) =>
        route.fulfill({ contentType: 'application/json', ...answer }),
      );
      await tab.goto(server.url);
      const notice = tab.getByRole('alert');
      await notice.getByText(title).waitFor();
      assert.ok((await notice.locator('p').allInnerTexts()).every((text) => text.length > 8));
      await context.close();
    }
  });

  test('where a table is missing or the text is another, the rest can be read', async () => {
    const damaged = join(folder.path, 'damaged');
    cpSync(join(folder.path, 'index'), damaged, { recursive: true });
    const other = await serveExplorer({ index: damaged, page, port: 0 });
    const tokens = readFileSync(join(damaged, 'corpus/tokens.bin'));
    writeFileSync(
      join(damaged, 'corpus/tokens.bin'),
      tokens.map((byte, i) => (i === 100 ? byte ^ 1 : byte)),
    );
    const { tab, complaints, close } = await open(`#/feature/${SMALL_LATENTS.cat}`, SIZES.desktop, other.url);
    await tab.getByRole('alert').getByText('The text is not the one of this index').waitFor();
    assert.equal(await tab.locator('.token-table.raises code').first().innerText(), '␣sat');
    await tab.getByLabel('Back to the list').click();
    await tab.locator('.rows .row .density-cell').first().waitFor();
    assert.deepEqual(complaints, []);
    await close();

    rmSync(join(damaged, 'details/part-00000.parquet'));
    const again = await open(`#/feature/${SMALL_LATENTS.cat}`, SIZES.desktop, other.url);
    await again.tab.getByRole('alert').getByText('A file of the index is missing').waitFor();
    await again.tab.getByRole('link', { name: 'Back to the list' }).click();
    await again.tab.locator('.rows .row .density-cell').first().waitFor();
    await again.close();
    await other.close();
  });

  test('a server that ends in the middle: what was read stays, and what is asked says so', async () => {
    const parts = await liveParts();
    const mortal = await serveExplorer({ index: join(folder.path, 'index'), page, port: 0, live: parts });
    const { tab, close } = await open('#/text?a=a+cat', SIZES.desktop, mortal.url);
    await tab.locator('.feature-list tr').first().waitFor();
    await mortal.close();
    await parts.runner.close();
    await tab.getByLabel('Text', { exact: true }).fill('another text');
    await tab.getByRole('button', { name: 'Read' }).click();
    const notice = tab.getByRole('alert');
    await notice.getByText('The model does not answer').waitFor();
    await notice.getByText(/All other views go on working|Start .monoseme explore. again/).waitFor();
    await close();
    const reader = await serveExplorer({ index: join(folder.path, 'index'), page, port: 0 });
    const list = await open('#/', SIZES.desktop, reader.url);
    await list.tab.locator('.rows .row .density-cell').first().waitFor();
    await reader.close();
    await list.tab.evaluate((latent) => (location.hash = `#/feature/${latent}`), SMALL_LATENTS.contexts);
    await list.tab.getByRole('alert').getByText('The host does not answer').waitFor();
    await list.tab.getByRole('link', { name: 'Back to the list' }).click();
    await list.tab.locator('.rows .row .density-cell').first().waitFor();
    await list.close();
  });

  test('works from a plain file host that knows no ranges, in a folder', async () => {
    const site = join(folder.path, 'site');
    cpSync(page, site, { recursive: true });
    cpSync(join(folder.path, 'index'), join(site, 'index'), { recursive: true });
    const types = { html: 'text/html', js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' };
    const host = createServer((request, response) => {
      const path = join(site, new URL(request.url, 'http://x').pathname.replace('/deep/folder', ''));
      const file = existsSync(path) && statSync(path).isDirectory() ? join(path, 'index.html') : path;
      if (!existsSync(file)) return response.writeHead(404).end();
      response.setHeader('Content-Type', types[file.split('.').at(-1)] ?? 'application/octet-stream');
      response.end(readFileSync(file));
    });
    await new Promise((resolve) => host.listen(0, '127.0.0.1', resolve));
    const base = `http://127.0.0.1:${host.address().port}/deep/folder/`;
    const { tab, complaints, close } = await open(`#/feature/${SMALL_LATENTS.cat}`, SIZES.desktop, base);
    await tab.locator('.example .t.peak', { hasText: 'cat' }).first().waitFor();
    assert.deepEqual(complaints, []);
    await close();
    await new Promise((resolve) => host.close(resolve));
  });

  test('text of an index is never markup', async () => {
    const text = smallText(60, 64);
    text.documents.forEach((document) => (document.id = `<img src=x onerror="document.title='owned'">`));
    const hostile = join(folder.path, 'hostile');
    await buildSmallIndex(hostile, { tokenSet: text });
    const manifest = JSON.parse(readFileSync(join(hostile, 'manifest.json'), 'utf8'));
    manifest.details.dictionary.model_name = '<script>document.title="owned"</script>';
    writeFileSync(join(hostile, 'manifest.json'), JSON.stringify(manifest));
    const other = await serveExplorer({ index: hostile, page, port: 0 });
    const { tab, complaints, close } = await open(`#/feature/${SMALL_LATENTS.cat}`, SIZES.desktop, other.url);
    await tab.locator('.example').first().waitFor();
    await tab.locator('.example .t.peak').first().hover();
    assert.ok((await tab.locator('.source').first().innerText()).includes('<img'));
    assert.doesNotMatch(await tab.title(), /^owned/);
    assert.equal(await tab.locator('img, main script').count(), 0);
    assert.deepEqual(complaints, []);
    await close();
    await other.close();
  });
});

describe('accessibility (axe)', { skip }, () => {
  const views = {
    list: ['#/', '.rows .row'],
    feature: [`#/feature/${SMALL_LATENTS.cat}`, '.example'],
    contrast: [`#/feature/${SMALL_LATENTS.dogAfterThe}?show=contrast`, '.example'],
    map: ['#/map', '.clusters a'],
    text: ['#/text?a=It+was+so+cold&token=2', '.feature-list tr'],
    steer: ['#/steer/3?run=1&tokens=4', '.card'],
  };
  for (const size of Object.keys(SIZES)) {
    for (const colorScheme of ['light', 'dark']) {
      test(`${size}, ${colorScheme}: no violations on any view`, async () => {
        await checkViews(liveServer.url, views, size, colorScheme);
      });
    }
  }
});

describe('a text of the reader', { skip }, () => {
  test('features of a token; where one of them fires; the address brings it all back', async () => {
    const { tab, complaints, close } = await open('#/text', SIZES.desktop, liveServer.url);
    await tab.getByLabel('Text', { exact: true }).fill('The whale, the whale!');
    await tab.getByRole('button', { name: 'Read' }).click();
    await tab.locator('.flow .t').nth(3).click();
    await tab.locator('.found h2', { hasText: 'Features on' }).waitFor();
    const rows = tab.locator('.feature-list tr');
    assert.ok((await rows.count()) > 1);
    await rows.first().getByRole('button', { name: 'show' }).click();
    await tab.locator('.flow .t.on').first().waitFor();
    await tab.getByRole('radio', { name: 'effect' }).click();
    await tab.locator('.feature-list .value', { hasText: /^[+−]/ }).first().waitFor();
    const address = tab.url();
    assert.match(address, /token=3.*latent=|latent=.*token=3/);
    const again = await open(new URL(address).hash, SIZES.desktop, liveServer.url);
    await again.tab.locator('.flow .t.on').first().waitFor();
    assert.equal(await again.tab.locator('.feature-list tr.chosen').count(), 1);
    assert.deepEqual([...complaints, ...again.complaints], []);
    await again.close();
    await close();
  });

  test('two texts side by side', async () => {
    const { tab, close } = await open('#/text?compare=1&a=a+cat&b=a+whale', SIZES.desktop, liveServer.url);
    await tab.locator('.comparison tbody tr').first().waitFor();
    assert.equal(await tab.locator('.comparison .flow').count(), 2);
    // Each ranking has the feature of the word that parts them among the first.
    for (const rank of ['activation', 'surprise', 'effect']) {
      await tab.getByRole('radio', { name: rank }).click();
      await tab.getByText(`by ${rank}, the largest`).waitFor();
      const values = tab.locator('.comparison tbody tr').first().locator('.value');
      await values
        .filter({ hasText: rank === 'effect' ? /^[+−]/ : /^[\d.]/ })
        .first()
        .waitFor();
      const numbers = await tab.locator('.comparison tbody tr').evaluateAll((rows) =>
        rows.map((row) => {
          const [a, b] = [...row.querySelectorAll('.value')].map(({ textContent }) =>
            Number(textContent.replace('–', '0').replace('−', '-')),
          );
          return Math.abs(a - b);
        }),
      );
      numbers.slice(1).forEach((n, i) => assert.ok(n <= 1.01 * numbers[i] + 1e-3, `${rank}: ${numbers}`));
    }
    await close();
  });

  test('a megabyte, and a page without a model, are answered in words', async () => {
    const long = await open('#/text', SIZES.desktop, liveServer.url);
    await long.tab.getByLabel('Text', { exact: true }).fill('a'.repeat(1_000_000));
    await long.tab.getByText('at most 20,000 can be read at once').waitFor();
    await long.close();
    const files = await open('#/text');
    await files.tab.getByText('No model is running here').waitFor();
    await files.tab.getByRole('link', { name: 'Features' }).click();
    await files.tab.locator('.rows .row').first().waitFor();
    await files.close();
  });
});

describe('what a reader keeps', { skip }, () => {
  test('a star and a note survive a visit, are listed, and saved as a file', async () => {
    const { tab, complaints, close } = await open(`#/feature/${SMALL_LATENTS.cat}`);
    await tab.locator('.example').first().waitFor();
    await tab.keyboard.press('s');
    await tab.getByRole('button', { name: 'Starred' }).waitFor();
    await tab.keyboard.press('n');
    await tab.keyboard.type('purrs');
    await tab.reload();
    await tab.getByRole('button', { name: 'Starred' }).waitFor();
    assert.equal(await tab.locator('.feature-tools textarea').inputValue(), 'purrs');
    const [svg] = await Promise.all([
      tab.waitForEvent('download'),
      tab.getByRole('button', { name: 'SVG' }).click(),
    ]);
    assert.match(readFileSync(await svg.path(), 'utf8'), /^<svg [^]* cat[^]*<\/svg>\n$/);
    const [json] = await Promise.all([
      tab.waitForEvent('download'),
      tab.getByRole('button', { name: 'JSON' }).click(),
    ]);
    const feature = JSON.parse(readFileSync(await json.path(), 'utf8'));
    assert.equal(feature.latent_index, SMALL_LATENTS.cat);
    assert.ok(feature.examples.length > 20);
    await tab.getByLabel('Back to the list').click();
    await tab.getByRole('link', { name: '1 starred' }).click();
    await tab.getByText('1 matching feature').waitFor();
    const [notes] = await Promise.all([
      tab.waitForEvent('download'),
      tab.getByRole('button', { name: 'save notes' }).click(),
    ]);
    assert.deepEqual(JSON.parse(readFileSync(await notes.path(), 'utf8')).notes, {
      [SMALL_LATENTS.cat]: 'purrs',
    });
    assert.deepEqual(complaints, []);
    await close();
  });
});

describe('the map', { skip }, () => {
  test('points open features, clusters and a lasso make lists', async () => {
    const { tab, complaints, close } = await open('#/map?colour=cluster');
    await tab.locator('.clusters a').first().click();
    await tab.waitForURL(/cluster=0/);
    await tab.getByText(/matching features?/).waitFor();
    await tab.goBack();
    const box = await tab.locator('.plane canvas').boundingBox();
    await tab.getByRole('button', { name: 'lasso' }).click();
    await tab.mouse.move(box.x + 4, box.y + 4);
    await tab.mouse.down();
    for (const [x, y] of [
      [1, 0],
      [1, 1],
      [0, 1],
    ])
      await tab.mouse.move(box.x + 4 + x * (box.width - 8), box.y + 4 + y * (box.height - 8));
    await tab.mouse.up();
    await tab.waitForURL(/only=/);
    await tab.getByText(`${SMALL_D_SAE - 1} matching features`).waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  test('without WebGL it says so, and the clusters still list features', async () => {
    const { tab, close } = await open('#/');
    await tab.addInitScript(() => {
      globalThis.HTMLCanvasElement.prototype.getContext = () => null;
    });
    await tab.goto(`${server.url}#/map`);
    await tab.reload();
    await tab.getByText('This browser shows no WebGL').waitFor();
    assert.ok((await tab.locator('.clusters a').count()) > 0);
    await close();
  });
});

describe('an export of others', { skip }, () => {
  test('reads like an index, and says that it has no map', async () => {
    const index = await openFeatureIndex(join(folder.path, 'index'));
    const written = join(folder.path, 'saedashboard');
    await writeSaedashboard(index, written, sourceNames(index.details));
    await importDashboards(written, join(folder.path, 'imported'));
    const other = await serveExplorer({ index: join(folder.path, 'imported'), page, port: 0 });
    try {
      const { tab, complaints, close } = await open(
        `#/feature/${SMALL_LATENTS.cat}`,
        SIZES.desktop,
        other.url,
      );
      await tab.locator('.peak, mark').first().waitFor();
      assert.match(await tab.locator('main').innerText(), / cat/);
      await tab.goto(`${other.url}#/map`);
      await tab.getByText('This index has no map').waitFor();
      assert.deepEqual(complaints, []);
      await close();
    } finally {
      await other.close();
    }
  });
});
