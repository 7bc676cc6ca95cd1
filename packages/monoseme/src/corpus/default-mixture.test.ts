import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultMixture } from './default-mixture.ts';
import { MAX_PIECE_LENGTH, isHeldOut } from './document.ts';

const mixture = defaultMixture();

test('the mixture is the same each time, and its order follows the seed', () => {
  assert.deepEqual(defaultMixture(), mixture);
  const other = defaultMixture({ seed: 1 });
  assert.notDeepEqual(
    other.slice(0, 20).map(({ id }) => id),
    mixture.slice(0, 20).map(({ id }) => id),
  );
});

test('ids are unique, pieces are short and not blank', () => {
  assert.equal(new Set(mixture.map(({ id }) => id)).size, mixture.length);
  for (const { text } of mixture) {
    assert.ok(text.length <= MAX_PIECE_LENGTH);
    assert.notEqual(text.trim(), '');
  }
});

test('20 to 35 MB, no kind above 40 %, code under a third, every kind there', () => {
  const bytes = new Map<string, number>();
  for (const { source, text } of mixture) {
    bytes.set(source, (bytes.get(source) ?? 0) + Buffer.byteLength(text));
  }
  const total = [...bytes.values()].reduce((sum, n) => sum + n);
  assert.ok(total > 20e6 && total < 35e6, `${total} bytes`);
  for (const [source, n] of bytes) assert.ok(n / total < (source === 'code' ? 1 / 3 : 0.4), source);
  assert.deepEqual([...bytes.keys()].sort(), [
    'code',
    'country-facts',
    'declaration',
    'declaration-html',
    'encoded',
    'markdown',
    'messages',
    'novel',
    'speeches',
  ]);
});

test('many scripts, and about one document in twenty held out', () => {
  const text = mixture.map((document) => document.text).join('');
  const scripts = [
    'Latin',
    'Cyrillic',
    'Greek',
    'Arabic',
    'Hebrew',
    'Han',
    'Hangul',
    'Hiragana',
    'Thai',
    'Tamil',
  ];
  for (const script of [...scripts, 'Devanagari', 'Ethiopic', 'Cherokee', 'Tibetan']) {
    const count = text.match(new RegExp(`\\p{Script=${script}}`, 'gu'))?.length ?? 0;
    assert.ok(count > 3000, `${count} characters of ${script}`);
  }
  const share = mixture.filter(({ id }) => isHeldOut(id)).length / mixture.length;
  assert.ok(share > 0.03 && share < 0.07, `${share}`);
});

test('what every file of a package repeats is left out', () => {
  const opening = mixture.filter(({ source }) => source === 'code' || source === 'markdown');
  const repeating = opening.filter(({ text }) => /@license|About stdlib/.test(text.slice(0, 200)));
  assert.ok(repeating.length < 0.01 * opening.length, `${repeating.length} of ${opening.length}`);
});
