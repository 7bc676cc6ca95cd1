import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Dictionary } from '../dictionary/index.ts';
import type { Codes } from '../kernels/contract.ts';
import { selectBackend } from '../kernels/index.ts';
import { Random } from '../random/index.ts';
import { letterAbsorption } from './absorption.ts';
import { codeColumns } from './code-columns.ts';
import { classesOf, limitedTexts, splitExamples } from './class-sets.ts';
import { bitsOf, minimumDescription } from './description-length.ts';
import type { ProbeExamples } from './examples.ts';
import { LETTERS } from './first-letters.ts';
import type { LabelledText } from './labelled-text.ts';
import { fitProbe } from './probe.ts';
import { sparseLogistic } from './sparse-logistic.ts';
import { sparseProbing } from './sparse-probing.ts';
import { spuriousCorrelation } from './spurious-correlation.ts';
import { seedStability } from './stability.ts';
import { targetedPerturbation } from './targeted-perturbation.ts';

const [D_IN, D_SAE] = [48, 24];
const backend = await selectBackend({ name: 'reference' });

/** Directions of length 1, drawn by a seed; `W_enc` = `W_dec`. */
function dictionaryOf(seed: number, dSae = D_SAE, dIn = D_IN): Dictionary {
  const random = new Random(seed);
  const W_dec = Float32Array.from({ length: dSae * dIn }, () => random.normal());
  for (let j = 0; j < dSae; j++) {
    const row = W_dec.subarray(j * dIn, (j + 1) * dIn);
    const length = Math.hypot(...row);
    row.forEach((value, i) => (row[i] = value / length));
  }
  const names = { hookName: '', modelName: '', contextSize: undefined, metadata: {} };
  return {
    config: { architecture: 'standard', dIn, dSae, applyBDecToInput: false, ...names },
    weights: { W_enc: W_dec, W_dec, b_enc: new Float32Array(dSae), b_dec: new Float32Array(dIn) },
  };
}

/** Rows that are sums of a dictionary's latents with known activations, and those activations as codes. */
function examplesOf({ weights: { W_dec } }: Dictionary, activations: readonly ReadonlyMap<number, number>[]) {
  const means = new Float32Array(activations.length * D_IN);
  activations.forEach((row, i) => {
    for (const [latent, value] of row)
      for (let d = 0; d < D_IN; d++) means[i * D_IN + d] += value * W_dec[latent * D_IN + d];
  });
  return { n: activations.length, dIn: D_IN, means, codes: codesOf(activations, W_dec.length / D_IN) };
}

function codesOf(activations: readonly ReadonlyMap<number, number>[], dSae: number): Codes {
  const rows = activations.map((row) => [...row].sort(([a], [b]) => a - b));
  const rowPointers = new Uint32Array(rows.length + 1);
  rows.forEach((row, i) => (rowPointers[i + 1] = rowPointers[i] + row.length));
  return {
    ...{ nRows: rows.length, dSae, rowPointers },
    latentIndices: Uint32Array.from(rows.flat(), ([latent]) => latent),
    values: Float32Array.from(rows.flat(), ([, value]) => value),
  };
}

/** Texts with labels; `latentsOf` says what each label adds to the noise of latents 12 and up. */
function planted(
  labels: readonly (readonly string[])[],
  latentsOf: (labels: readonly string[]) => readonly (readonly [number, number])[],
  dictionary = dictionaryOf(1),
): { texts: LabelledText[]; examples: ProbeExamples } {
  const random = new Random(2);
  const texts = labels.map((of, i) => ({ text: `text ${i}`, labels: of, document: `text ${i}` }));
  const activations = labels.map((of) => {
    const noise = [0, 1, 2].map(() => [12 + random.integer(12), random.uniform()] as const);
    return new Map([
      ...noise,
      ...latentsOf(of).map(([j, value]) => [j, value * (0.8 + 0.4 * random.uniform())] as const),
    ]);
  });
  return { texts, examples: examplesOf(dictionary, activations) };
}

const options = { probe: 'logistic', perClass: 1000, seed: 0 } as const;
const repeat = (n: number, labels: readonly (readonly string[])[]) =>
  Array.from({ length: n }, (_, i) => labels[i % labels.length]);

describe('sparse probing', () => {
  const { texts, examples } = planted(repeat(600, [['a'], ['b'], ['c']]), ([label]) => [
    [{ a: 3, b: 5, c: 7 }[label]!, 1],
  ]);
  const classes = classesOf(texts, 0, splitExamples(texts, 0));

  for (const probe of ['logistic', 'ridge'] as const)
    test(`a ${probe} probe on one latent finds the planted one, and no neuron is as good`, async () => {
      const found = await sparseProbing(examples, classes, { ...options, probe, ks: [1, 2] });
      for (const { name, latents, neurons, dense } of found.classes) {
        assert.deepEqual(latents[0].columns, [{ a: 3, b: 5, c: 7 }[name]]);
        assert.equal(latents[0].accuracy.value, 1);
        assert.ok(neurons[0].accuracy.value < 0.95, `${neurons[0].accuracy.value}`);
        assert.ok(dense.value > 0.95);
      }
    });

  test('labels without meaning are guessed', async () => {
    const random = new Random(5);
    const shuffled = texts.map((text) => ({ ...text, labels: [random.uniform() < 0.5 ? 'x' : 'y'] }));
    const {
      classes: [{ latents }],
    } = await sparseProbing(examples, classesOf(shuffled, 0, splitExamples(shuffled, 0)), {
      ...options,
      ks: [5],
    });
    const { value, interval } = latents[0].accuracy;
    assert.ok(interval[0] <= 0.5 && interval[1] >= 0.5, `${value}`);
  });

  test('a rare class is set against as many others, and nothing of it is in both training and testing', async () => {
    const rare = planted(repeat(1000, [['yes'], ...new Array(9).fill(['no'])]), ([label]) =>
      label === 'yes' ? [[3, 1]] : [],
    );
    const split = splitExamples(rare.texts, 0);
    const found = await sparseProbing(rare.examples, classesOf(rare.texts, 0, split), {
      ...options,
      ks: [1],
    });
    const [yes] = found.classes.filter(({ name }) => name === 'yes');
    assert.equal(yes.nTrain + yes.dense.n, 200);
    assert.equal(yes.latents[0].accuracy.value, 1);
    assert.equal(new Set([...split.train, ...split.test]).size, 1000);
  });
});

test('a document is on one side of the split, and labels that cannot be learned are said', async () => {
  const texts = Array.from({ length: 400 }, (_, i) => ({
    text: `${i}`,
    labels: ['a'],
    document: `${i % 40}`,
  }));
  const split = splitExamples(texts, 0);
  const test_ = new Set(split.test.map((i) => i % 40));
  assert.ok(split.train.every((i) => !test_.has(i % 40)));
  assert.throws(() => classesOf(texts, 0, split), {
    code: 'ERR_LABELS',
    message: /Every text has the label "a"/,
  });
  const few = texts.map((text, i) => ({ ...text, labels: [i < 5 ? 'b' : 'a'] }));
  assert.throws(() => classesOf(few, 0, split), { code: 'ERR_LABELS', message: /"b".*At least 10/ });
  assert.throws(() => classesOf([], 0, { train: [], test: [] }), { code: 'ERR_LABELS' });
  const limited = limitedTexts(texts, 20, 0);
  assert.ok(limited.length <= 25 && limited.length > 20);
});

test('targeted perturbation: latents of one class are told from entangled ones', async () => {
  const labels = repeat(600, [['a'], ['b'], ['c']]);
  const own = planted(labels, ([label]) => [[{ a: 3, b: 5, c: 7 }[label]!, 1]]);
  const dictionary = dictionaryOf(1);
  const classes = classesOf(own.texts, 0, splitExamples(own.texts, 0));
  const { perturbations } = await targetedPerturbation(dictionary, own.examples, classes, {
    ...options,
    ns: [1],
  });
  assert.ok(perturbations[0].intended > 0.35, `${perturbations[0].intended}`);
  assert.ok(perturbations[0].score > 0.25, `${perturbations[0].score}`);
  // The same activations, but one latent takes part in all classes and the rest is left to the error term.
  const shared = {
    ...own.examples,
    codes: codesOf(
      labels.map(() => new Map([[9, 1]])),
      D_SAE,
    ),
  };
  const other = await targetedPerturbation(dictionary, shared, classes, { ...options, ns: [1] });
  const [entangled] = other.perturbations;
  assert.ok(Math.abs(entangled.score) < 0.1, `${entangled.score}`);
});

describe('spurious correlation removal', () => {
  const labels = repeat(2000, [
    ['doctor', 'he'],
    ['doctor', 'she'],
    ['nurse', 'he'],
    ['nurse', 'she'],
  ]);
  const latentsOf = ([job, word]: readonly string[]) =>
    [
      [job === 'doctor' ? 2 : 3, 0.5],
      [word === 'he' ? 5 : 6, 1],
    ] as const;
  // At right angles: with latents in each other's way a probe's zero shifts, whatever is ablated.
  const dictionary = dictionaryOf(1);
  dictionary.weights.W_dec.forEach((_, i, W) => (W[i] = i % D_IN === Math.floor(i / D_IN) ? 1 : 0));
  const { texts, examples } = planted(labels, latentsOf, dictionary);
  const split = splitExamples(texts, 0);

  test('ablating the latents of the stronger label gives the weaker one back', async () => {
    const found = await spuriousCorrelation(dictionary, examples, texts, split, { ...options, ns: [2] });
    const { ablated, biased, clean, scores } = found.removals[found.counted];
    assert.equal(ablated, 'spurious');
    assert.ok(biased.value < 0.9 && clean.value > 0.95, `${biased.value}, ${clean.value}`);
    assert.ok(scores[0].score! > 0.8, `${scores[0].score}`);
  });

  test('latents that say nothing of the labels win back nothing', async () => {
    const codes = codesOf(
      labels.map((_, i) => new Map([[15, 1 + (i % 7) / 7]])),
      D_SAE,
    );
    const found = await spuriousCorrelation(dictionary, { ...examples, codes }, texts, split, {
      ...options,
      ns: [2],
    });
    const { score } = found.removals[found.counted].scores[0];
    assert.ok(score !== undefined && score < 0.3, `${score}`);
  });

  test('a label of three values is refused', async () => {
    const three = texts.map((text, i) => ({ ...text, labels: [text.labels[0], `${i % 3}`] }));
    await assert.rejects(spuriousCorrelation(dictionary, examples, three, split, { ...options, ns: [2] }), {
      code: 'ERR_LABELS',
    });
  });
});

describe('absorption', () => {
  const random = new Random(8);
  const words = Array.from({ length: 1300 }, (_, id) => ({ id, text: `${id}`, letter: random.integer(26) }));
  const [dIn, dSae] = [64, 52];
  /** Orthogonal directions for letters; latent 26 + l is that of a frequent word of letter l, with the letter's direction in it. */
  const letters = dictionaryOf(3, dSae, dIn);
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
    const codes = codesOf(
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
    const many = dictionaryOf(3, 26 + words.length, dIn);
    const W = many.weights.W_dec;
    W.fill(0);
    for (let l = 0; l < 26; l++) W[l * dIn + l] = 1;
    words.forEach(({ letter }, i) => {
      W[(26 + i) * dIn + letter] = 0.8;
      W[(26 + i) * dIn + 26 + letter] = 0.6;
    });
    const codes = codesOf(
      words.map(({ letter }, row) => new Map([isFrequent[row] ? [26 + row, 1.25] : [letter, 1]])),
      26 + words.length,
    );
    const found = await letterAbsorption({ dictionary: many }, words, x, codes);
    assert.ok(Math.abs(found.meanFull! - 0.3) < 0.08, `${found.meanFull}`);
    assert.ok(Math.abs(found.meanFraction! - 0.3) < 0.08, `${found.meanFraction}`);
    assert.equal(found.meanSplits, 0);
  });

  test('latents of letters that fire on every word of theirs absorb nothing', async () => {
    const codes = codesOf(
      words.map(({ letter }) => new Map([[letter, 1]])),
      dSae,
    );
    const found = await letterAbsorption({ dictionary: letters }, words, x, codes);
    assert.deepEqual([found.meanFraction, found.meanFull, found.meanSplits], [0, 0, 0]);
    assert.ok(found.letters.every(({ probeF1, latentF1 }) => probeF1 > 0.95 && latentF1 === 1));
  });

  test('activations that do not tell letters give no score instead of a wrong one', async () => {
    const noise = Float32Array.from(x, () => random.normal());
    const codes = codesOf(
      words.map(({ letter }) => new Map([[letter, 1]])),
      dSae,
    );
    const found = await letterAbsorption({ dictionary: letters }, words, noise, codes);
    assert.equal(found.meanFraction, undefined);
  });

  test('a vocabulary without words is refused', async () => {
    await assert.rejects(
      letterAbsorption({ dictionary: letters }, [], new Float32Array(), codesOf([], dSae)),
      {
        code: 'ERR_TOKENIZER',
      },
    );
  });
});

describe('description length', () => {
  test('known answers: one bit for firing on half of the tokens, one more for two sizes', async () => {
    const counts = new Uint32Array(2 * 128);
    counts[0] = 25;
    counts[127] = 25;
    assert.deepEqual(bitsOf(counts, 2, 4, 100), { bits: 1.5, bitsOfFiring: 1 });
    counts.fill(0);
    counts[64] = 100;
    assert.deepEqual(bitsOf(counts, 2, 128, 100), { bits: 0, bitsOfFiring: 0 });
  });

  test('constant activations and latents that never fire give numbers or nothing, never NaN in what counts', async () => {
    const runner = {
      dIn: D_IN,
      activations: async (tokens: Uint32Array) => new Float32Array(tokens.length * D_IN),
    };
    const text = { tokens: new Uint32Array(64), contextSize: 8, nContexts: 8, documents: [] };
    const found = await minimumDescription({ dictionary: dictionaryOf(1), backend, runner }, text);
    assert.equal(found.shortest, undefined);
    assert.ok(found.lengths.every(({ bits }) => bits === 0));
  });
});

describe('stability between seeds', () => {
  test('the same latents in another order are all found again', async () => {
    const first = dictionaryOf(1);
    const order = new Random(4).permutation(D_SAE);
    const W_dec = new Float32Array(first.weights.W_dec.length);
    order.forEach((from, to) =>
      W_dec.set(first.weights.W_dec.subarray(from * D_IN, (from + 1) * D_IN), to * D_IN),
    );
    const { mcc, fracMutual, fracFound } = await seedStability(
      first,
      { ...first, weights: { ...first.weights, W_dec } },
      backend,
    );
    assert.ok(Math.abs(mcc! - 1) < 1e-5);
    assert.deepEqual([fracMutual, ...fracFound], [1, 1, 1]);
  });

  test('half of them, turned latents and random ones are told apart, in both directions', async () => {
    const [first, other] = [dictionaryOf(1, 8, 64), dictionaryOf(2, 16, 64)];
    const { W_dec } = other.weights;
    W_dec.set(first.weights.W_dec.subarray(0, 4 * 64));
    for (let i = 4 * 64; i < 8 * 64; i++) W_dec[i] = -first.weights.W_dec[i];
    const found = await seedStability(first, other, backend);
    assert.deepEqual(found.fracFound, [0.5, 0.25]);
    assert.ok(found.mcc! > 0.5 && found.mcc! < 0.7, `${found.mcc}`);
    const swapped = await seedStability(other, first, backend);
    assert.deepEqual(swapped.fracFound, [0.25, 0.5]);
    assert.equal(swapped.mcc, found.mcc);
    await assert.rejects(seedStability(first, dictionaryOf(1), backend), { code: 'ERR_MISMATCH' });
  });
});

test('a ridge probe is the solution of the normal equations', async () => {
  // One column x = ±1 with y = ±1 for 10 examples: w = Σxy / (n + 1).
  const x = Float32Array.from({ length: 10 }, (_, i) => (i % 2 ? 1 : -1));
  const isPositive = Uint8Array.from({ length: 10 }, (_, i) => i % 2);
  const { weights, bias } = fitProbe('ridge', { x, width: 1, rows: Uint32Array.from(x.keys()), isPositive });
  assert.ok(Math.abs(weights[0] - 10 / 11) < 1e-6 && Math.abs(bias) < 1e-6);
});

test('the L1 probe stands where no weight can be changed for the better, and leaves most at 0', () => {
  const random = new Random(9);
  const [n, dSae, l1] = [300, 20, 0.05];
  const codes = codesOf(
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
