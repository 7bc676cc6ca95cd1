import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Random } from '../random/index.ts';
import { codesOfMaps, directionsDictionary } from '../testing/planted-latents.ts';
import { letterAbsorption } from './absorption.ts';
import { codeColumns } from './code-columns.ts';
import { LETTERS } from './first-letters.ts';
import { sparseLogistic } from './sparse-logistic.ts';

describe('absorption', () => {
  const random = new Random(8);
  const words = Array.from({ length: 1300 }, (_, id) => ({ id, text: `${id}`, letter: random.integer(26) }));
  const [dIn, dSae] = [64, 52];
  /** Orthogonal directions for letters; latent 26 + l is that of a frequent word of letter l, with the letter's direction in it. */
  const letters = directionsDictionary(3, dSae, dIn);
  const { W_dec } = letters.weights;
  W_dec.fill(0);
  for (let l = 0; l < 26; l++) {
    W_dec[l * dIn + l] = 1;
    W_dec[(26 + l) * dIn + l] = 0.8;
    W_dec[(26 + l) * dIn + 26 + l] = 0.6;
  }
  const isFrequent = words.map(() => random.uniform() < 0.3);
  const x = new Float32Array(words.length * dIn);
  words.forEach(({ letter }, row) => {
    x[row * dIn + letter] = 1;
    if (isFrequent[row]) x[row * dIn + 26 + letter] = 0.75;
    for (let d = 52; d < dIn; d++) x[row * dIn + d] = 0.05 * random.normal();
  });

  test('a second latent that finds the rest of a letter splits it: nothing is absorbed', async () => {
    const codes = codesOfMaps(
      words.map(({ letter }, row) => new Map([isFrequent[row] ? [26 + letter, 1.25] : [letter, 1]])),
      dSae,
    );
    const found = await letterAbsorption({ dictionary: letters }, words, x, codes);
    for (const { letter, mainLatents } of found.letters) {
      const l = LETTERS.indexOf(letter);
      assert.deepEqual(
        mainLatents.toSorted((a, b) => a - b),
        [l, 26 + l],
      );
    }
    assert.deepEqual(
      [found.letters.length, found.meanSplits, found.meanFull, found.meanFraction],
      [26, 1, 0, 0],
    );
  });

  test('planted absorption is found on as many words as it was planted: frequent words have a latent of their own', async () => {
    // Each frequent word its own absorber: none of them is worth a place among the main latents.
    const many = directionsDictionary(3, 26 + words.length, dIn);
    const W = many.weights.W_dec;
    W.fill(0);
    for (let l = 0; l < 26; l++) W[l * dIn + l] = 1;
    words.forEach(({ letter }, i) => {
      W[(26 + i) * dIn + letter] = 0.8;
      W[(26 + i) * dIn + 26 + letter] = 0.6;
    });
    const codes = codesOfMaps(
      words.map(({ letter }, row) => new Map([isFrequent[row] ? [26 + row, 1.25] : [letter, 1]])),
      26 + words.length,
    );
    const found = await letterAbsorption({ dictionary: many }, words, x, codes);
    assert.ok(Math.abs(found.meanFull! - 0.3) < 0.08, `${found.meanFull}`);
    assert.ok(Math.abs(found.meanFraction! - 0.3) < 0.08, `${found.meanFraction}`);
    assert.equal(found.meanSplits, 0);
  });

  test('latents of letters that fire on every word of theirs absorb nothing', async () => {
    const codes = codesOfMaps(
      words.map(({ letter }) => new Map([[letter, 1]])),
      dSae,
    );
    const found = await letterAbsorption({ dictionary: letters }, words, x, codes);
    assert.deepEqual([found.meanFraction, found.meanFull, found.meanSplits], [0, 0, 0]);
    assert.ok(found.letters.every(({ probeF1, latentF1 }) => probeF1 > 0.95 && latentF1 === 1));
  });

  test('activations that do not tell letters give no score instead of a wrong one', async () => {
    const noise = Float32Array.from(x, () => random.normal());
    const codes = codesOfMaps(
      words.map(({ letter }) => new Map([[letter, 1]])),
      dSae,
    );
    const found = await letterAbsorption({ dictionary: letters }, words, noise, codes);
    assert.equal(found.meanFraction, undefined);
  });

  test('a vocabulary without words is refused', async () => {
    await assert.rejects(
      letterAbsorption({ dictionary: letters }, [], new Float32Array(), codesOfMaps([], dSae)),
      {
        code: 'ERR_TOKENIZER',
      },
    );
  });
});

test('the L1 probe stands where no weight can be changed for the better, and leaves most at 0', () => {
  const random = new Random(9);
  const [n, dSae, l1] = [300, 20, 0.05];
  const codes = codesOfMaps(
    Array.from(
      { length: n },
      () => new Map([0, 1, 2].map(() => [random.integer(dSae), random.uniform()] as const)),
    ),
    dSae,
  );
  const dense = codeColumns(
    codes,
    Array.from({ length: dSae }, (_, j) => j),
  );
  const isPositive = Uint8Array.from({ length: n }, (_, i) =>
    dense[i * dSae + 4] + 0.2 * random.normal() > 0.3 ? 1 : 0,
  );
  const rows = Uint32Array.from({ length: n }, (_, i) => i);
  const weights = sparseLogistic(codes, rows, isPositive, l1);
  const own = isPositive.reduce((sum, one) => sum + one, 0);
  const gradientAt = (bias: number) => {
    const gradient = new Float64Array(dSae + 1);
    for (let i = 0; i < n; i++) {
      let z = bias;
      for (let j = 0; j < dSae; j++) z += weights[j] * dense[i * dSae + j];
      const factor = isPositive[i] ? -(n - own) / own / n / (1 + Math.exp(z)) : 1 / n / (1 + Math.exp(-z));
      for (let j = 0; j < dSae; j++) gradient[j] += factor * dense[i * dSae + j];
      gradient[dSae] += factor;
    }
    return gradient;
  };
  let [low, high] = [-20, 20];
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (gradientAt(middle)[dSae] > 0) high = middle;
    else low = middle;
  }
  const gradient = gradientAt(low);
  assert.ok(weights[4] > 1);
  assert.ok(weights.filter((weight) => weight === 0).length > dSae / 2);
  weights.forEach((weight, j) => {
    if (weight === 0) assert.ok(Math.abs(gradient[j]) <= l1 + 1e-4, `${j}: ${gradient[j]}`);
    else assert.ok(Math.abs(gradient[j] + l1 * Math.sign(weight)) < 1e-4, `${j}: ${gradient[j]}`);
  });
});
