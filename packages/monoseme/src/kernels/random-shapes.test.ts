import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadBinding } from '@monoseme/kernels-native';
import { Random } from '../random/index.ts';
import {
  assertGuards,
  coActivationCase,
  codesCase,
  encodeCase,
  pairSumsCase,
  nestedCase,
  selections,
  type Shape,
  someLatents,
  unaligned,
  updateCase,
  wholeNumbers,
} from '../testing/kernel-cases.ts';
import { type KernelBackend, selectBackend } from './index.ts';
import { referenceBackend } from './reference/index.ts';

/*
 * A thousand random shapes through every primitive on every instruction set of this CPU. On whole numbers every sum is
 * exact, so the results must equal the reference's; it works them out once for all sets.
 */

const N_SHAPES = Number(process.env.KERNEL_SHAPES ?? 1000);

function instructionSets(): string[] {
  try {
    return loadBinding().instructionSets();
  } catch (error) {
    if (process.env.REQUIRE_NATIVE === '1') throw error;
    return [];
  }
}

/** Mostly below every lane, panel and tile, so that rests are what is run. */
function smallShape(random: Random): Shape {
  const size = (limit: number) => 1 + random.integer(random.integer(2) === 0 ? 9 : limit);
  return { nRows: random.integer(20) === 0 ? 0 : size(40), dIn: size(70), dSae: size(60) };
}

/** What every primitive gives for one shape; the draws depend on the seed alone. */
async function results(backend: KernelBackend, seed: number) {
  const random = new Random(seed);
  const shape = smallShape(random);
  const { nRows, dIn, dSae } = shape;
  const drawn = selections(random, shape);
  const encode = encodeCase(random, shape, drawn[random.integer(drawn.length)], wholeNumbers);
  // Mostly zeros, as behind a ReLU.
  if (random.integer(3) === 0) encode.x.forEach((_, i) => random.integer(10) > 0 && (encode.x[i] = 0));
  const latents = random.integer(3) === 0 ? someLatents(random, dSae) : undefined;
  const screened = await backend.screen({ W_enc: encode.W_enc, dIn, dSae });
  const codes = codesCase(random, nRows, dSae, wholeNumbers);
  const [W_dec, rows] = [wholeNumbers(random, dSae * dIn), wholeNumbers(random, nRows * dIn)];
  const b_dec = random.integer(2) === 0 ? wholeNumbers(random, dIn) : undefined;
  const input = { codes, dOut: dIn, W_dec, b_dec };
  const residuals = unaligned(new Float32Array(rows.length));
  const errors = await backend.residuals({ ...input, target: rows, residuals });
  const byLatent = await backend.transpose(codes);
  // One step without moments is exact but for Adam's own roundings, the same everywhere.
  const update = updateCase(random, byLatent, dIn, 'none');
  update.firstMoments.fill(0);
  const pairSums = pairSumsCase(random, shape, wholeNumbers);
  await backend.addPairSums(pairSums);
  const company = await backend.coActivations(coActivationCase(random, shape));
  const own = { byLatent, coefficients: codes.values, rows };
  const also = random.integer(2) === 0 ? [own] : undefined;
  const gradient = { ...update, ...own, also, pull: undefined, constraint: 'none' } as const;
  const nested = nestedCase(random, { ...input, target: rows }, wholeNumbers);
  const nestedErrors = await backend.nestedResiduals(nested);
  const isTransposed = random.integer(2) === 0;
  const centered = unaligned(rows);
  await backend.center({ rows: centered, offset: wholeNumbers(random, dIn) });
  const { learningRate, beta1, beta2, epsilon } = update.adam;
  await backend.updateRows({
    ...gradient,
    gradientScale: 1,
    adam: { learningRate, beta1, beta2, epsilon, step: 1 },
  });
  for (const written of [
    residuals,
    nested.residuals,
    centered,
    update.weights,
    update.firstMoments,
    update.secondMoments,
  ]) {
    assertGuards(written);
  }
  const exact = {
    encoded: await backend.encode({ ...encode, latents }),
    encodedByScreening: await backend.encode({ ...encode, latents, screened }),
    decoded: await backend.decode(input),
    products: await backend.sampledProducts({ ...input, rows }),
    residuals,
    errors: [errors.squaredErrors, errors.products],
    nested: [nestedErrors.residuals, nestedErrors.squaredErrors, nestedErrors.products],
    product: await backend.product({
      a: rows,
      isTransposed,
      b: W_dec.subarray(0, dIn),
      nRows,
      inner: dIn,
      width: 1,
    }),
    byLatent,
    pairSums: pairSums.sums,
    company,
    centered,
    sums: await backend.columnSums({ rows, width: dIn }),
    norm: await backend.squaredGradientNorm(gradient),
  };
  const median =
    nRows === 0
      ? new Float32Array(0)
      : await backend.geometricMedian({ points: rows, nRows, width: dIn, maxIterations: 2, tolerance: 0 });
  const rounded = [update.weights, update.firstMoments, update.secondMoments, median];
  return { shape, exact, rounded };
}

function assertNear(actual: Float32Array, expected: Float32Array, where: string): void {
  assert.equal(actual.length, expected.length, where);
  for (let i = 0; i < actual.length; i++) {
    const bound = 1e-4 * (1 + Math.abs(expected[i]));
    assert.ok(
      Math.abs(actual[i] - expected[i]) <= bound,
      `${where}: ${actual[i]} for ${expected[i]} at ${i}`,
    );
  }
}

const sets = instructionSets();

test(
  `${N_SHAPES} random shapes on ${sets.join(', ')}`,
  {
    skip: sets.length === 0 && 'the native kernels are not built',
  },
  async () => {
    const backends = await Promise.all(
      sets.map((instructionSet) => selectBackend({ name: 'native', threads: 2, instructionSet })),
    );
    for (let seed = 1; seed <= N_SHAPES; seed++) {
      const expected = await results(referenceBackend, seed);
      for (const backend of backends) {
        const actual = await results(backend, seed);
        const where = `${backend.description}, seed ${seed}, ${JSON.stringify(expected.shape)}`;
        assert.deepEqual(actual.exact, expected.exact, where);
        actual.rounded.forEach((array, i) => assertNear(array, expected.rounded[i], `${where}, array ${i}`));
      }
    }
  },
);
