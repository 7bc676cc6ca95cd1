/** The built page over a small real index, in a real browser, as a reader uses it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { openFeatureIndex } from '../../monoseme/dist/features/index.js';
import { SMALL_D_SAE, SMALL_LATENTS } from '../../monoseme/dist/testing/small-index.js';
import { checkViews, FEATURE, noOverflow, SIZES, skip } from './page.js';
import { smallSite } from './small-site.js';

const site = smallSite({ live: true });
const rowNumbers = (tab) => tab.locator('.rows .row .number').allInnerTexts();

describe('the page', { skip }, () => {
  test('a key that is held goes on from feature to feature where the browser refuses more addresses, which follow', async () => {
    const { tab, close } = await site.open('#/feature/1');
    await tab.getByText('2 of 23 in the list').waitFor();
    await tab.evaluate(() => {
      const pushState = history.pushState.bind(history);
      let calls = 0;
      // As some browsers do: an error, later silence.
      history.pushState = (...args) => {
        calls++;
        if (calls > 8) return;
        if (calls > 4) throw new DOMException('Too many calls.', 'SecurityError');
        pushState(...args);
      };
    });
    for (let i = 0; i < 12; i++) await tab.keyboard.press('j');
    await tab.getByText('14 of 23 in the list').waitFor();
    const shown = (await tab.locator(`${FEATURE} h1`).innerText()).replace(/\D/g, '');
    await tab.waitForURL(new RegExp(`#/feature/${shown}$`));
    await close();
  });

  for (const [size, options] of Object.entries(SIZES)) {
    test(`${size}: from the list to a feature and back`, async () => {
      const { tab, complaints, close } = await site.open('#/', options);
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
      await tab.locator(`${FEATURE} .example`).first().waitFor();
      assert.match(await tab.locator(`${FEATURE} h1`).innerText(), /^Feature\s+\d+$/);
      assert.match(await tab.locator(`${FEATURE} .place`).innerText(), /^1 of 23/);
      assert.ok(await noOverflow(tab));
      await tab.getByRole('link', { name: 'Next feature (j)' }).click();
      await tab.getByText('2 of 23 in the list').waitFor();
      await tab.goBack();
      await tab.getByText('1 of 23 in the list').waitFor();
      await tab.getByRole('link', { name: 'Back to the list' }).click();
      await tab.locator('.rows .row').first().waitFor();
      assert.match(tab.url(), /sort=max_activation/);
      assert.deepEqual(complaints, []);
      await close();
    });

    test(`${size}: what a feature's page says`, async () => {
      const { tab, complaints, close } = await site.open(`#/feature/${SMALL_LATENTS.cat}`, options);
      await tab.locator('.feature[aria-busy="false"]').waitFor();
      const peaks = await tab.locator(`${FEATURE} .example .t.peak`).allTextContents();
      assert.ok(peaks.length > 40);
      assert.ok(peaks.every((text) => text === ' cat'));
      assert.deepEqual(
        (await tab.locator(`${FEATURE} .group h2`).allTextContents()).map((title) => title.split(' ')[0])[0],
        'Top',
      );
      assert.ok((await tab.locator(`${FEATURE} .group`).count()) > 8);
      assert.equal(await tab.locator(`${FEATURE} .token-table.raises code`).first().textContent(), '␣sat');
      assert.equal(await tab.locator(`${FEATURE} .token-table.lowers code`).first().textContent(), '.');
      assert.match(await tab.locator(`${FEATURE} .legend`).getAttribute('aria-label'), /from 0 to 1\.2/);
      // One scale: a token's colour says how its activation compares with the largest of all.
      const [first, second] = await tab
        .locator(`${FEATURE} .example`)
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
    const { tab, complaints, close } = await site.open('#/');
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

    // Large and small letters are one, also where a letter is spread over two tokens.
    for (const [text, latent] of [
      ['WHALE Sat', SMALL_LATENTS.afterWhale],
      ['É', SMALL_LATENTS.accent],
    ]) {
      await tab.goto(`${site.server.url}#/?text=${encodeURIComponent(text)}`);
      await tab.locator('.chip', { hasText: text }).waitFor();
      await tab.getByText(/matching feature/).waitFor();
      assert.ok((await rowNumbers(tab)).slice(0, 4).includes(String(latent)), text);
    }

    await tab.keyboard.press('/');
    await tab.keyboard.type('17');
    await tab.keyboard.press('Enter');
    await tab.getByRole('heading', { name: 'Feature 17' }).waitFor();

    await tab.goto(`${site.server.url}#/?promotes=${4 + 5}`);
    await tab.locator('.chip', { hasText: 'predicts ␣sat' }).waitFor();
    await tab.getByText(/matching feature/).waitFor();
    assert.equal((await rowNumbers(tab))[0], String(SMALL_LATENTS.cat));
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a list in the order of any figure, up and down', async () => {
    const { tab, complaints, close } = await site.open('#/');
    const index = await openFeatureIndex(join(site.folder, 'index'));
    const alive = (await index.features()).filter(({ n_fired }) => n_fired > 0);
    for (const key of ['min_logit', 'n_contexts', 'density', 'skewness'])
      for (const [dir, sign] of [
        ['asc', 1],
        ['desc', -1],
      ]) {
        const expected = alive
          .sort((a, b) => sign * (a[key] - b[key]) || a.latent_index - b.latent_index)
          .map(({ latent_index }) => String(latent_index));
        await tab.goto(`${site.server.url}#/?sort=${key}&dir=${dir}`);
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
    const { tab, complaints, close } = await site.open('#/');
    await tab.locator('.rows .row').first().waitFor();
    await tab.goto(`${site.server.url}#/?density=-9,-8`);
    await tab.getByText('No feature fits.').waitFor();
    await tab.getByRole('link', { name: 'Show all features' }).click();
    await tab.locator('.rows .row').first().waitFor();
    assert.match(await tab.locator('#list-title').innerText(), new RegExp(`^${SMALL_D_SAE - 1} features`));
    assert.deepEqual(complaints, []);
    await close();
  });

  test('search by pattern: in examples, tokens and explanations; one that is none; one without end', async () => {
    const { tab, complaints, close } = await site.open('#/');
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
    await tab.goto(`${site.server.url}#/?text=${encodeURIComponent('/^(([^!]+)+)+!!!!!$/')}`);
    await tab.getByText('It took longer than 8 seconds and was stopped').waitFor({ timeout: 20_000 });
    await tab.getByLabel('Monoseme').click();
    await tab.locator('.rows .row').first().waitFor();
    await close();
  });

  test('explanations and their scores stand on the page, as text, and are searched', async () => {
    const { tab, complaints, close } = await site.open(`#/feature/${SMALL_LATENTS.cat}`);
    const told = tab.locator(`${FEATURE} .explanations li`);
    await told.first().waitFor();
    assert.match(await told.first().innerText(), /^the word <b>cat<\/b>\s+some-model · score 0\.750$/);
    await tab.keyboard.press('/');
    await tab.keyboard.type('WORD');
    await tab.getByRole('option', { name: /Explained as/ }).click();
    await tab.getByText('1 matching feature').waitFor();
    assert.deepEqual(await rowNumbers(tab), [String(SMALL_LATENTS.cat)]);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('values on hover and on keyboard focus, with a mark on the histogram', async () => {
    const { tab, complaints, close } = await site.open(`#/feature/${SMALL_LATENTS.cat}`);
    const line = tab.locator(`${FEATURE} .example`).nth(2);
    await line.waitFor();
    const value = await line.locator('.value').innerText();
    await line.locator('.t.peak').hover();
    assert.match(await tab.locator('.tooltip').innerText(), new RegExp(`␣cat\\s+${value}`));
    assert.ok((await tab.locator(`${FEATURE} .bars .marker`).count()) >= 1);
    assert.equal(await tab.locator(`${FEATURE} .bars .readout`).first().innerText(), value);
    await tab.keyboard.press('c');
    await tab
      .locator(`${FEATURE} .example .t`, { hasText: /^ sat$/ })
      .first()
      .hover();
    assert.match(await tab.locator(`${FEATURE} .bars .readout`).nth(1).innerText(), /␣sat \+/);
    await tab.mouse.move(5, 5);
    await tab.locator('.tooltip').waitFor({ state: 'detached' });

    await line.focus();
    assert.match(await tab.locator('.tooltip').innerText(), new RegExp(value.replace('.', '\\.')));
    await tab.keyboard.press('ArrowLeft');
    assert.match(await tab.locator('.tooltip').innerText(), /does not fire/);
    await tab.keyboard.press('ArrowDown');
    assert.ok(
      await tab
        .locator(`${FEATURE} .example`)
        .nth(3)
        .evaluate((element) => element === document.activeElement),
    );
    assert.deepEqual(complaints, []);
    await close();
  });

  test('the next feature is made beforehand, and the keyboard meets only the one that is shown', async () => {
    const { tab, complaints, close } = await site.open(`#/feature/${SMALL_LATENTS.cat}`);
    const ahead = (latent) =>
      tab.locator('.feature.ahead.drawn', { has: tab.locator('h1', { hasText: latent }) });
    const shows = (latent) =>
      tab.locator(`${FEATURE} h1`, { hasText: new RegExp(`\\D${latent}$`) }).waitFor();
    const next = String(SMALL_LATENTS.cat + 1);
    await ahead(next).waitFor({ state: 'attached' });
    assert.equal(await ahead(next).locator('.example').first().isVisible(), false);
    const height = () => tab.evaluate(() => document.documentElement.scrollHeight);
    const alone = await height();
    await tab.evaluate(() => document.querySelectorAll('.ahead').forEach((article) => article.remove()));
    assert.equal(await height(), alone);
    await tab.reload();

    const made = await ahead(next).elementHandle();
    await tab.locator(`${FEATURE} [title^="Next"]`).focus();
    await tab.keyboard.press('Enter');
    await shows(SMALL_LATENTS.cat + 1);
    assert.ok(
      await made.evaluate(
        (article) => !article.matches('.ahead') && article.contains(document.activeElement),
      ),
    );
    await tab.locator(`${FEATURE}[aria-busy="false"]`).waitFor();
    await tab.keyboard.press('Enter');
    await shows(SMALL_LATENTS.cat + 2);
    for (let i = 0; i < 40; i++) {
      await tab.keyboard.press('Tab');
      assert.equal(await tab.locator('.ahead :focus').count(), 0);
    }

    // What is chosen here is chosen there.
    await tab.keyboard.press('c');
    await tab.locator('.ahead.drawn ol.wide').first().waitFor({ state: 'attached' });
    await tab.keyboard.press('k');
    await shows(SMALL_LATENTS.cat + 1);
    assert.equal(await tab.locator(`${FEATURE} ol.wide .example`).first().isVisible(), true);
    await tab.keyboard.press('s');
    assert.equal(await tab.locator(`${FEATURE} [title^="Star"]`).innerText(), 'Starred');
    await tab.keyboard.press('j');
    await shows(SMALL_LATENTS.cat + 2);
    assert.equal(await tab.locator(`${FEATURE} [title^="Star"]`).innerText(), 'Star');
    assert.deepEqual(complaints, []);
    await close();
  });

  for (const [size, options] of Object.entries(SIZES))
    test(`${size}: the first Tab of every view is the way past its head`, async () => {
      for (const hash of ['#/', `#/feature/${SMALL_LATENTS.cat}`, '#/map', '#/text', '#/steer/3']) {
        const { tab, close } = await site.open(hash, options);
        await tab.locator('main h1').first().waitFor();
        const current = tab.locator('nav.views a[aria-current=page]');
        await current.waitFor();
        const [link, row] = [await current.boundingBox(), await tab.locator('nav.views').boundingBox()];
        assert.ok(
          link.x >= row.x - 1 && link.x + link.width <= row.x + row.width + 1,
          `${hash} is out of sight`,
        );
        await tab.keyboard.press('Tab');
        assert.equal(await tab.evaluate(() => document.activeElement.className), 'skip', hash);
        await tab.keyboard.press('Enter');
        assert.equal(await tab.evaluate(() => document.activeElement.id), 'main', hash);
        await close();
      }
    });

  test('characters of several tokens are one, and can be copied', async () => {
    const { tab, close } = await site.open(`#/feature/${SMALL_LATENTS.accent}`);
    await tab.locator('.feature[aria-busy="false"]').waitFor();
    assert.equal(await tab.locator(`${FEATURE} .example .t.peak`).first().textContent(), 'é');
    assert.ok(!(await tab.locator(`${FEATURE} .examples`).textContent()).includes('\\xc3'));
    assert.ok((await tab.locator(`${FEATURE} .token-table.mass`).textContent()).includes('\\xc3'));
    await close();
  });

  test('more and less text, remembered', async () => {
    const { tab, close } = await site.open(`#/feature/${SMALL_LATENTS.cat}`);
    const length = async () => (await tab.locator(`${FEATURE} .example .text`).first().textContent()).length;
    await tab.locator(`${FEATURE} .example`).first().waitFor();
    const line = await length();
    await tab.getByRole('radio', { name: 'Near' }).click();
    assert.ok((await length()) < line);
    await tab.keyboard.press('c');
    await tab.keyboard.press('c');
    assert.equal(await tab.getByRole('radio', { name: 'Wide' }).getAttribute('aria-checked'), 'true');
    await tab.getByRole('radio', { name: 'Wide' }).press('ArrowRight');
    assert.equal(await tab.locator(':focus').textContent(), 'Near');
    assert.equal(await tab.locator(':focus').getAttribute('aria-checked'), 'true');
    await tab.keyboard.press('ArrowLeft');
    assert.equal(await tab.locator(':focus').textContent(), 'Wide');
    assert.ok((await length()) > line);
    await tab.reload();
    await tab.locator('ol.wide .example').first().waitFor();
    await close();
  });

  test('dark and light', async () => {
    const { tab, close } = await site.open('#/', { ...SIZES.desktop, colorScheme: 'dark' });
    await tab.locator('.rows .row').first().waitFor();
    const paper = () => tab.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const dark = await paper();
    await tab.keyboard.press('t');
    assert.notEqual(await paper(), dark);
    await tab.keyboard.press('t');
    assert.equal(await paper(), dark);
    await tab.emulateMedia({ media: 'print' });
    assert.equal(await paper(), 'rgb(255, 255, 255)');
    await close();
  });

  test('help opens, lists the keys and closes', async () => {
    const { tab, complaints, close } = await site.open('#/');
    await tab.locator('.rows .row').first().waitFor();
    await tab.keyboard.press('?');
    await tab.getByRole('dialog', { name: 'Reading features' }).waitFor();
    await tab.keyboard.press('Escape');
    await tab.getByRole('dialog').waitFor({ state: 'detached' });
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a feature that never fires, and one that does not exist', async () => {
    const { tab, close } = await site.open(`#/feature/${SMALL_LATENTS.silent}`);
    await tab.getByText('This feature never fires here').waitFor();
    await tab.goto(`${site.server.url}#/feature/9999`);
    await tab.getByRole('alert').getByText('There is no feature 9999').waitFor();
    await tab.getByRole('link', { name: 'Back to the list' }).click();
    await tab.locator('.rows .row').first().waitFor();
    await close();
  });

  test('choosing a bar of the density histogram filters the list', async () => {
    const { tab, close } = await site.open('#/');
    await tab.locator('.density path').first().waitFor();
    const box = await tab.locator('.density svg').boundingBox();
    await tab.mouse.click(box.x + 3, box.y + box.height - 4);
    await tab.locator('.chip', { hasText: 'density' }).waitFor();
    await tab.getByText(/matching feature/).waitFor();
    assert.ok((await rowNumbers(tab)).length < SMALL_D_SAE - 1);
    await close();
  });
});

describe('what a reader keeps', { skip }, () => {
  test('a star and a note survive a visit, are listed, and saved as a file', async () => {
    const { tab, complaints, close } = await site.open(`#/feature/${SMALL_LATENTS.cat}`);
    await tab.locator(`${FEATURE} .example`).first().waitFor();
    await tab.keyboard.press('s');
    await tab.getByRole('button', { name: 'Starred' }).waitFor();
    await tab.keyboard.press('n');
    await tab.keyboard.type('purrs');
    await tab.reload();
    await tab.getByRole('button', { name: 'Starred' }).waitFor();
    assert.equal(await tab.locator(`${FEATURE} .feature-tools textarea`).inputValue(), 'purrs');
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
    await tab.getByRole('link', { name: 'Back to the list' }).click();
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
        await checkViews(site.live.url, views, size, colorScheme);
      });
    }
  }
});
