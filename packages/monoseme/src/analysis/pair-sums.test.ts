import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../random/index.ts';
import { referenceBackend } from '../kernels/reference/index.ts';
import { codesOfRows } from '../testing/sparse-rows.ts';
import { addSteps, automataOf } from './automata.ts';
import { automatonGraph } from './automaton-graph.ts';
import { familyGraph, familyOf } from './family.ts';
import type { Pair, PairSums } from './pair-sums.ts';
import { PairSummer } from './pair-summer.ts';
import { splittingOf } from './splitting.ts';
import { medianInterval, medianOf, universalityOf } from './universality.ts';

/** Random sparse rows [nRows][d]. */
function randomRows(nRows: number, d: number, density: number, seed: number): number[][] {
  const random = new Random(seed);
  const row = () => Array.from({ length: d }, () => (random.uniform() < density ? 1 + random.integer(8) : 0));
  return Array.from({ length: nRows }, row);
}

async function sumsOf(
  a: number[][],
  b: number[][],
  options?: ConstructorParameters<typeof PairSummer>[3],
): Promise<PairSums> {
  const sums = new PairSummer(referenceBackend, a[0].length, b[0].length, options);
  // Two batches: the result is that of all rows.
  const half = a.length >> 1;
  await sums.add(codesOfRows(a.slice(0, half), a[0].length), codesOfRows(b.slice(0, half), b[0].length));
  await sums.add(codesOfRows(a.slice(half), a[0].length), codesOfRows(b.slice(half), b[0].length));
  return sums.finish();
}

/** The definitions, over dense columns. */
function expected(a: number[][], b: number[][], i: number, j: number): Omit<Pair, 'a' | 'b'> {
  const [x, y] = [a.map((row) => row[i]), b.map((row) => row[j])];
  const n = x.length;
  const dot = (u: number[], v: number[]) => u.reduce((sum, value, t) => sum + value * v[t], 0);
  const mean = (u: number[]) => u.reduce((sum, value) => sum + value, 0) / n;
  const centred = (u: number[]) => u.map((value) => value - mean(u));
  const [cx, cy] = [centred(x), centred(y)];
  const masked = (mask: number[]) => {
    const [u, v] = [x.filter((_, t) => mask[t] > 0), y.filter((_, t) => mask[t] > 0)];
    return dot(u, v) / Math.sqrt(dot(u, u) * dot(v, v));
  };
  return {
    together: x.filter((value, t) => value > 0 && y[t] > 0).length,
    product: dot(x, y),
    correlation: dot(cx, cy) / Math.sqrt(dot(cx, cx) * dot(cy, cy)),
    maskedCosine: Math.max(masked(x), masked(y)),
  };
}

test('every pair has the values of the definitions, in the dense and in the sparse table', async () => {
  const [a, b] = [randomRows(400, 7, 0.2, 1), randomRows(400, 9, 0.15, 2)];
  for (const options of [undefined, { densePairs: 0 }]) {
    const pairs = [...(await sumsOf(a, b, options)).pairs()];
    assert.equal(pairs.length, 63);
    for (const pair of pairs) {
      const { together, product, correlation, maskedCosine } = expected(a, b, pair.a, pair.b);
      assert.deepEqual([pair.together, pair.product], [together, product]);
      assert.ok(Math.abs(pair.correlation - correlation) < 1e-9);
      assert.ok(Math.abs(pair.maskedCosine - maskedCosine) < 1e-9);
    }
  }
});

test('a table that counts nothing has the same correlations', async () => {
  const [a, b] = [randomRows(400, 7, 0.2, 1), randomRows(400, 9, 0.15, 2)];
  const counting = [...(await sumsOf(a, b, { masked: false })).pairs()];
  const products = [...(await sumsOf(a, b, { masked: false, counted: false })).pairs()];
  assert.deepEqual(
    products,
    counting.map((pair) => ({ ...pair, together: 0 })),
  );
});

test('a sparse table that is full keeps the pairs that matter', async () => {
  const random = new Random(3);
  // Column j of a goes with column j of b; everything else is chance.
  const a = randomRows(3000, 60, 0.02, 4);
  const b = a.map((row) => row.map((value) => (random.uniform() < 0.005 ? 5 : value)));
  const small = await sumsOf(a, b, { densePairs: 0, maxSlots: 1024 });
  small.best((pair) => pair.correlation).forEach((pair, latent) => assert.equal(pair?.b, latent));
  assert.ok(small.nPruned > 0, 'the table was full');
});

test('columns that never fire, or always alike, are without a correlation, not NaN', async () => {
  const a = Array.from({ length: 50 }, (_, t) => [1, 0, t % 2]);
  const sums = await sumsOf(a, a);
  for (const { correlation, maskedCosine } of sums.pairs()) {
    assert.ok(Number.isFinite(correlation) && Number.isFinite(maskedCosine));
  }
  const { matches, median, nWithout } = universalityOf(sums);
  assert.deepEqual(matches[1], { latent: 1, nFired: 0, match: undefined, correlation: undefined });
  assert.deepEqual([nWithout, median], [1, 0.5], 'the constant column correlates with nothing');
  const dead = universalityOf(await sumsOf([[0], [0]], [[0], [0]]));
  assert.deepEqual([dead.median, dead.nWithout], [undefined, 1]);
});

test('a permutation of the latents is found, whatever their scale', async () => {
  const order = [3, 0, 4, 1, 2];
  const a = randomRows(600, 5, 0.3, 5);
  const b = a.map((row) => order.map((from) => 2.5 * row[from]));
  const { matches, median } = universalityOf(await sumsOf(a, b));
  matches.forEach(({ match, latent, correlation }) => {
    assert.equal(order[match!], latent);
    assert.ok(Math.abs(correlation! - 1) < 1e-9);
  });
  assert.ok(Math.abs(median! - 1) < 1e-9);
});

test('different text is refused', async () => {
  const sums = new PairSummer(referenceBackend, 2, 2);
  const [one, two] = [
    codesOfRows([[1, 0]], 2),
    codesOfRows(
      [
        [1, 0],
        [0, 1],
      ],
      2,
    ),
  ];
  await assert.rejects(() => sums.add(one, two), { code: 'ERR_MISMATCH' });
  await assert.rejects(() => sums.add(one, codesOfRows([[1]], 1)), { code: 'ERR_MISMATCH' });
});

test('a latent that is two in the larger dictionary splits, one that stays does not', async () => {
  const random = new Random(6);
  const tokens = Array.from({ length: 2000 }, () => random.integer(8));
  const smaller = tokens.map((token) => [
    token === 0 || token === 1 ? 2 : 0,
    token === 2 ? 1 : 0,
    token === 3 ? 1 : 0,
  ]);
  const larger = tokens.map((token) => [0, 1, 2, 7].map((one) => (token === one ? 1 : 0)));
  const found = splittingOf(await sumsOf(smaller, larger));
  const { edges, children, nCompared, split } = found;
  assert.deepEqual(edges.map(({ from, to }) => [from, to]).sort(), [
    [0, 0],
    [0, 1],
    [1, 2],
  ]);
  assert.deepEqual([...children], [2, 1, 0]);
  assert.deepEqual(nCompared, [3, 4]);
  assert.equal(split!.hits, 1);
  assert.ok(split!.interval[0] < 1 / 3 && split!.interval[1] > 1 / 3);
  assert.deepEqual(
    familyOf(found, 1).children.map(({ latent, parents }) => [latent, parents]),
    [[2, []]],
  );
  assert.deepEqual(familyOf(found, 2).children, [], 'no edge leaves it');
});

test('a family names the other latents that its members refine, and its drawing holds no markup of others', async () => {
  const random = new Random(8);
  const tokens = Array.from({ length: 2000 }, () => random.integer(6));
  const smaller = tokens.map((token) => [token < 2 ? 1 : 0, token === 1 || token === 2 ? 1 : 0]);
  const larger = tokens.map((token) => [0, 1, 2].map((one) => (token === one ? 1 : 0)));
  const family = familyOf(splittingOf(await sumsOf(smaller, larger)), 0);
  const members = family.children.map(({ latent, parents }) => [
    latent,
    parents.map((parent) => parent.latent),
  ]);
  assert.deepEqual(members.sort(), [
    [0, []],
    [1, [1]],
  ]);
  assert.equal(
    family.children[0].nFired,
    tokens.filter((token) => token === family.children[0].latent).length,
  );
  const svg = familyGraph(family, [() => '<b>', () => '&']);
  assert.equal(svg.match(/<path /g)!.length, 3);
  assert.match(svg, /&lt;b&gt;/);
});

test('the interval of a median holds the median of the population 95 times in 100', () => {
  const random = new Random(9);
  let held = 0;
  for (let i = 0; i < 400; i++) {
    const [low, high] = medianInterval(Array.from({ length: 41 }, () => random.normal()))!;
    if (low <= 0 && high >= 0) held++;
  }
  assert.ok(held >= 0.93 * 400 && held < 400, `${held} of 400`);
  assert.equal(medianInterval([1, 2, 3]), undefined);
});

test('a planted automaton is found with its probabilities, and chance is not', async () => {
  // 0 → 1 → 2 → 0, left one time in four; 3 leads to itself; 4 and 5 are noise.
  const random = new Random(7);
  let state = 0;
  const states = Array.from({ length: 20_000 }, () => {
    const goesOn = random.uniform() < 0.75;
    if (state <= 2) state = goesOn ? (state + 1) % 3 : 3 + random.integer(60);
    else if (state === 3) state = goesOn ? 3 : random.integer(3);
    else state = random.uniform() < 0.02 ? random.integer(4) : 4 + random.integer(60);
    return state;
  });
  const rows = states.map((s) => Array.from({ length: 64 }, (_, j) => (j === s ? 1 : 0)));
  const sums = new PairSummer(referenceBackend, 64, 64);
  const codes = codesOfRows(rows, 64);
  await addSteps(sums, codes, 0, rows.length);
  const { systems, edges } = automataOf(await sums.finish(), { minLift: 5 });
  assert.deepEqual(
    systems.map(({ latents }) => latents),
    [[0, 1, 2], [3]],
  );
  for (const { probability } of systems[0].edges) assert.ok(Math.abs(probability - 0.75) < 0.05);
  assert.equal(edges.length, 4);
  const svg = automatonGraph(systems[0], (latent) => `<${latent}>`);
  assert.equal(svg.match(/<circle/g)!.length, 3);
  assert.match(svg, /&lt;0&gt;/);
  assert.doesNotMatch(svg, /NaN/);
});

test('the median of nothing is undefined', () => {
  assert.equal(medianOf([]), undefined);
  assert.equal(medianOf([3, 1]), 2);
});
