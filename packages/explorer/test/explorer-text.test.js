/** The view of a reader's own text, with a model behind it and without. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { SIZES, skip } from './page.js';
import { smallSite } from './small-site.js';

const site = smallSite({ live: true });

describe('a text of the reader', { skip }, () => {
  test('features of a token; where one of them fires; the address brings it all back', async () => {
    const { tab, complaints, close } = await site.open('#/text', SIZES.desktop, site.live.url);
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
    const again = await site.open(new URL(address).hash, SIZES.desktop, site.live.url);
    await again.tab.locator('.flow .t.on').first().waitFor();
    assert.equal(await again.tab.locator('.feature-list tr.chosen').count(), 1);
    assert.deepEqual([...complaints, ...again.complaints], []);
    await again.close();
    await close();
  });

  test('two texts side by side', async () => {
    const { tab, close } = await site.open(
      '#/text?compare=1&a=a+cat&b=a+whale',
      SIZES.desktop,
      site.live.url,
    );
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

  test('what was read and what was written are saved as JSON', async () => {
    const saved = async (hash, shown) => {
      const { tab, complaints, close } = await site.open(hash, SIZES.desktop, site.live.url);
      await tab.locator(shown).first().waitFor();
      const [file] = await Promise.all([
        tab.waitForEvent('download'),
        tab.getByRole('button', { name: 'JSON' }).click(),
      ]);
      const json = JSON.parse(readFileSync(await file.path(), 'utf8'));
      assert.deepEqual(complaints, []);
      await close();
      return json;
    };
    const [read] = await saved('#/text?a=The+whale', '.feature-list tr');
    assert.equal(read.text, 'The whale');
    assert.equal(read.tokens[0].text, '<|endoftext|>');
    assert.ok(read.tokens.some(({ features }) => features.some(({ activation }) => activation > 0)));
    const written = await saved('#/steer/3?run=1&tokens=4&strengths=0,2&prompt=The+sea', '.card');
    assert.deepEqual([written.latent_index, written.prompt], [3, 'The sea']);
    assert.deepEqual(
      written.continuations.map(({ strength }) => strength),
      [null, 0, 2],
    );
    assert.ok(written.continuations.every(({ text, tokens }) => text.length > 0 && tokens.length === 4));
  });

  test('a megabyte, and a page without a model, are answered in words', async () => {
    const long = await site.open('#/text', SIZES.desktop, site.live.url);
    await long.tab.getByLabel('Text', { exact: true }).fill('a'.repeat(1_000_000));
    await long.tab.getByText('at most 20,000 can be read at once').waitFor();
    await long.close();
    const files = await site.open('#/text');
    await files.tab.getByText('No model is running here').waitFor();
    await files.tab.getByRole('link', { name: 'Features' }).click();
    await files.tab.locator('.rows .row').first().waitFor();
    await files.close();
  });
});
