import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../random/index.ts';
import { MIN_BLOCKS, bootstrapIntervals, densityClusters, directionFigures, meanInterval } from './index.ts';
import { densityIntervals } from './density-intervals.ts';
import { reconstructionFigures } from './figures.ts';
import { readProgress, writeProgress } from './progress-file.ts';
import { COLUMN, N_COLUMNS } from './sums.ts';
import { tokenGroups } from './token-groups.ts';
import { selectBackend } from '../kernels/index.ts';
import { smallDictionary } from '../testing/small-index.ts';

/** Latents around given (log10 density, encoder bias, encoder · decoder) centres. */
function latents(clusters: readonly { n: number; centre: readonly number[]; spread: number }[], nDead = 0) {
  const random = new Random(4);
  const points = clusters.flatMap(({ n, centre, spread }) =>
    Array.from({ length: n }, () => centre.map((value) => value + spread * random.normal())),
  );
  const dead = Array.from({ length: nDead }, () => [-Infinity, 0, 0]);
  const column = (axis: number) => Float64Array.from([...points, ...dead], (point) => point[axis]);
  return {
    densities: column(0).map((log) => 10 ** log),
    encoderBiases: column(1),
    encoderDecoderProducts: column(2),
  };
}

test('an ultralow-density cluster is told apart, whatever its size', () => {
  for (const n of [40, 400]) {
    const figures = latents(
      [
        { n: 800, centre: [-3, -0.2, 0.6], spread: 0.3 },
        { n, centre: [-6.5, -1.4, 0.1], spread: 0.3 },
      ],
      7,
    );
    const found = densityClusters(figures);
    assert.ok(found.separated);
    assert.deepEqual([found.nLive, found.nUltralow, found.nDead], [800, n, 7]);
    assert.ok(Math.abs(found.ultralowCentre!.logDensity + 6.5) < 0.2);
    assert.ok(found.ultralow.every((latent) => latent >= 800));
  }
});

test('one cluster is not cut in two, however wide or skewed', () => {
  const wide = latents([{ n: 1000, centre: [-4, -0.5, 0.5], spread: 1 }]);
  const random = new Random(3);
  const skewed = { ...wide, densities: wide.densities.map(() => 10 ** (-2 - Math.abs(2 * random.normal()))) };
  for (const figures of [wide, skewed]) {
    const found = densityClusters(figures);
    assert.equal(found.separated, false);
    assert.deepEqual([found.nLive, found.nUltralow], [1000, 0]);
  }
});

test('latents that never fire, or are few, are marked and make no cluster', () => {
  const none = densityClusters(latents([], 30));
  assert.deepEqual([none.nDead, none.nLive, none.liveCentre, none.valley], [30, 0, undefined, undefined]);
  const few = densityClusters(latents([{ n: 5, centre: [-3, 0, 0], spread: 0.1 }]));
  assert.deepEqual([few.nLive, few.separated, few.valley], [5, false, undefined]);
});

/** Blocks of `size` tokens whose L0 is one number within a block: tokens of a document are alike. */
function blocksOf(nBlocks: number, size: number, seed: number): Float64Array {
  const random = new Random(seed);
  const table = new Float64Array(nBlocks * N_COLUMNS);
  for (let block = 0; block < nBlocks; block++) {
    table[block * N_COLUMNS + COLUMN.tokens] = size;
    table[block * N_COLUMNS + COLUMN.l0] = size * (20 + 2 * random.normal());
  }
  return table;
}

test('intervals are those of the spread between documents: the known answer for a mean', () => {
  const nBlocks = 200;
  const { l0 } = bootstrapIntervals(blocksOf(nBlocks, 500, 1), (sums) => reconstructionFigures(sums), 5)!;
  const halfWidth = (1.96 * 2) / Math.sqrt(nBlocks);
  assert.ok(Math.abs((l0![1] - l0![0]) / 2 - halfWidth) < 0.15 * halfWidth, `${l0}`);
});

test('an interval of 95 % holds the truth about that often', () => {
  const hits = Array.from({ length: 100 }, (_, seed) => {
    const { l0 } = bootstrapIntervals(
      blocksOf(60, 10, 100 + seed),
      (sums) => reconstructionFigures(sums),
      seed,
    )!;
    return l0![0] <= 20 && 20 <= l0![1] ? 1 : 0;
  }).reduce<number>((sum, hit) => sum + hit, 0);
  assert.ok(hits >= 86 && hits <= 100, `${hits} of 100`);
});

test('the interval of a mean holds the truth about 95 times in 100', () => {
  const random = new Random(12);
  let held = 0;
  for (let i = 0; i < 400; i++) {
    const [low, high] = meanInterval(
      Array.from({ length: 40 }, () => random.normal()),
      i,
    )!;
    if (low <= 0 && high >= 0) held++;
  }
  assert.ok(held >= 0.91 * 400 && held < 400, `${held} of 400`);
  assert.equal(meanInterval([1, 2, 3], 0), undefined);
});

test('too few documents give no interval, and a figure without a value has none', () => {
  const figuresOf = reconstructionFigures;
  assert.equal(
    bootstrapIntervals(blocksOf(MIN_BLOCKS - 1, 9, 1), (sums) => figuresOf(sums), 1),
    undefined,
  );
  const intervals = bootstrapIntervals(blocksOf(MIN_BLOCKS, 9, 1), (sums) => figuresOf(sums), 1)!;
  assert.ok(intervals.l0);
  assert.equal(intervals.explainedVariance, undefined, 'no variance was summed');
});

test('shares of dense latents have the interval of the spread between documents; silence has none', () => {
  // Latent j fires on 2 % of the tokens in a share (j + 1) / 101 of the blocks: above 1 % where that is over half.
  const [nBlocks, dSae] = [60, 100];
  const random = new Random(6);
  const fired = Float64Array.from({ length: nBlocks * dSae }, (_, i) =>
    random.uniform() < ((i % dSae) + 1) / 101 ? 20 : 0,
  );
  const tokens = new Float64Array(nBlocks).fill(1000);
  const intervals = densityIntervals(fired, tokens, 1);
  const [low, high] = intervals.fracAbove1Percent!;
  assert.ok(low < 0.5 && high > 0.45 && high - low > 0.01 && high - low < 0.2, `${low} … ${high}`);
  assert.deepEqual(intervals.fracAbove10Percent, [0, 0]);
  assert.equal(intervals.fracDead, undefined);
  assert.deepEqual(densityIntervals(fired, new Float64Array(MIN_BLOCKS - 1).fill(1), 1), {});
});

test('the interval of a share is around it, also where resamples lift latents over the bar', () => {
  // 15 of 61 blocks, other ones for each latent, give each 8 %; drawn again, a fifth of the latents have more than 10 %.
  const [nBlocks, dSae] = [61, 60];
  const fired = Float64Array.from({ length: nBlocks * dSae }, (_, i) => {
    const [block, j] = [Math.floor(i / dSae), i % dSae];
    return (block * (j + 1) + j) % nBlocks < 15 ? 340 : 0;
  });
  const { fracAbove10Percent } = densityIntervals(fired, new Float64Array(nBlocks).fill(1000), 1);
  assert.equal(fracAbove10Percent![0], 0);
  assert.ok(fracAbove10Percent![1] > 0);
});

test('tokens belong to their document, source and range of positions', () => {
  const documents = [
    { id: 'a', source: 'x', start: 0, length: 5 },
    { id: 'b', source: 'y', start: 5, length: 3 },
    { id: 'c', source: 'x', start: 8, length: 8 },
  ];
  const groups = tokenGroups({ tokens: new Uint32Array(16), contextSize: 8, nContexts: 2, documents });
  assert.deepEqual([...groups.blockOf], [0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2]);
  assert.deepEqual([...groups.sourceOf].join(''), '0000011100000000');
  assert.deepEqual(groups.positions, [
    [0, 0],
    [1, 1],
    [2, 3],
    [4, 7],
  ]);
  assert.deepEqual([...groups.positionOf], [0, 1, 2, 2, 3, 3, 3, 3]);
});

test('each role of the conversations of a source is a source of its own', () => {
  const documents = [
    { id: 'a', source: 'x', start: 0, length: 5 },
    { id: 'b', source: 'y', start: 5, length: 3 },
  ];
  const roles = { names: ['none', 'template', 'user'], of: Uint8Array.from([1, 2, 2, 1, 2, 0, 0, 0]) };
  const groups = tokenGroups({ tokens: new Uint32Array(8), contextSize: 8, nContexts: 1, documents, roles });
  assert.deepEqual(groups.sources, ['x: template', 'x: user', 'y']);
  assert.equal(groups.sourceOf.join(''), '01101222');
});

test('many documents and many sources are joined: memory stays bounded', () => {
  const documents = Array.from({ length: 10_000 }, (_, i) => ({
    id: `${i}`,
    source: `s${i}`,
    start: i,
    length: 1,
  }));
  const groups = tokenGroups({ tokens: new Uint32Array(10_000), contextSize: 8, nContexts: 1250, documents });
  assert.equal(groups.nBlocks, 3334);
  assert.equal(groups.sources.length, 64);
  assert.equal(groups.sourceOf[9_999], 63);
  assert.equal(groups.nDocuments, 10_000);
});

test('decoder directions: the planted pair is found, all others are apart', async () => {
  const figures = await directionFigures(smallDictionary(), await selectBackend({ name: 'reference' }));
  assert.ok(Math.abs(figures.nearestCosines[6] - 0.5 / Math.sqrt(1.25)) < 1e-6);
  assert.equal(figures.nearestCosines[0], 0);
  assert.equal(figures.fracNearDuplicates, 0);
  assert.equal(
    figures.histogram.counts.reduce((sum, n) => sum + n, 0),
    24,
  );
});

test('unfinished sums are read back bit by bit, and only by the run they belong to', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'monoseme-evaluation-'));
  try {
    const file = { path: join(folder, 'unfinished'), fingerprint: 'a' };
    const arrays = { x: Float64Array.of(0.1, NaN, -0), y: Float64Array.of(1e300) };
    await writeProgress(file, arrays, 7);
    const read = { x: new Float64Array(3), y: new Float64Array(1) };
    assert.equal(await readProgress(file, read), 7);
    assert.deepEqual(read, arrays);
    const other = { x: new Float64Array(3), y: new Float64Array(1) };
    assert.equal(await readProgress({ ...file, fingerprint: 'b' }, other), 0);
    assert.equal(await readProgress(file, { ...other, y: new Float64Array(2) }), 0);
    assert.deepEqual(other.x, new Float64Array(3), 'nothing half read');
    assert.equal(await readProgress({ ...file, path: `${file.path}-none` }, other), 0);
    assert.deepEqual(await readdir(folder), ['unfinished']);
    assert.ok((await readFile(file.path)).length > 0);
  } finally {
    await rm(folder, { recursive: true });
  }
});
