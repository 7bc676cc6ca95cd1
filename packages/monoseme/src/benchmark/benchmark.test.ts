import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Dictionary } from '../dictionary/index.ts';
import { selectBackend } from '../kernels/index.ts';
import { Random } from '../random/index.ts';
import { codesOfMaps, directionsDictionary } from '../testing/planted-latents.ts';
import { classesOf, limitedTexts, splitExamples } from './class-sets.ts';
import { bitsOf, minimumDescription } from './description-length.ts';
import type { ProbeExamples } from './examples.ts';
import type { LabelledText } from './labelled-text.ts';
import { fitProbe } from './probe.ts';
import { sparseProbing } from './sparse-probing.ts';
import { spuriousCorrelation } from './spurious-correlation.ts';
import { seedStability } from './stability.ts';
import { targetedPerturbation } from './targeted-perturbation.ts';

const [D_IN, D_SAE] = [48, 24];
const dictionaryOf = (seed: number, dSae = D_SAE, dIn = D_IN) => directionsDictionary(seed, dSae, dIn);
const backend = await selectBackend({ name: 'reference' });

/** Rows that are sums of a dictionary's latents with known activations, and those activations as codes. */
function examplesOf({ weights: { W_dec } }: Dictionary, activations: readonly ReadonlyMap<number, number>[]) {
  const means = new Float32Array(activations.length * D_IN);
  activations.forEach((row, i) => {
    for (const [latent, value] of row)
      for (let d = 0; d < D_IN; d++) means[i * D_IN + d] += value * W_dec[latent * D_IN + d];
  });
  return { n: activations.length, dIn: D_IN, means, codes: codesOfMaps(activations, W_dec.length / D_IN) };
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
    codes: codesOfMaps(
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
    const codes = codesOfMaps(
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
