import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Random } from '../random/index.ts';
import { decodeFloats } from '../tensor/index.ts';
import { EVERY_BACKEND, shapes } from '../testing/every-backend.ts';
import {
  assertClose,
  assertGuards,
  codesCase,
  normals,
  SHAPES,
  sumBound,
  unaligned,
  type UpdateCase,
  updateCase,
  withBf16Moments,
} from '../testing/kernel-cases.ts';
import type { KernelBackend, Moments } from './index.ts';
import { referenceBackend } from './reference/index.ts';

/* The contract of the update, on the reference and on every instruction set of the native backend. */

for (const { name, options, open } of EVERY_BACKEND)
  describe(`kernels, update: ${name}`, options, () => contract(open));

function contract(open: () => Promise<KernelBackend>): void {
  test('updateRows takes the step of the reference and writes nowhere else', async () => {
    const backend = await open();
    const random = new Random(6);
    for (const { nRows, dIn: width, dSae } of shapes(random)) {
      const byLatent = await referenceBackend.transpose(codesCase(random, nRows, dSae, normals));
      for (const constraint of ['none', 'unitNorm'] as const) {
        const input = updateCase(random, byLatent, width, constraint);
        const expected = copyOfUpdate(input);
        await referenceBackend.updateRows(expected);
        await backend.updateRows(input);
        // Gradients are sums of nRows products of about 1; projecting and normalising add sums over the width.
        const bound = sumBound(nRows + width, 64 * Math.sqrt(nRows + width));
        for (const key of ['weights', 'firstMoments', 'secondMoments'] as const) {
          assertClose(key, input[key], expected[key], (i) => bound * (1 + Math.abs(expected[key][i])));
          assertGuards(input[key]);
        }
      }
    }
  });

  test('updates of latents in turns are the same bytes as one of all', async () => {
    const backend = await open();
    const random = new Random(12);
    for (const { nRows, dIn: width, dSae } of shapes(random)) {
      const byLatent = await backend.transpose(codesCase(random, nRows, dSae, normals));
      const whole = updateCase(random, byLatent, width, 'unitNorm');
      for (const type of [copyOfUpdate, withBf16Moments]) {
        const [expected, input] = [type(copyOfUpdate(whole)), type(copyOfUpdate(whole))];
        const turns = Uint8Array.from({ length: dSae }, () => random.integer(3));
        const masks = [2, 0, 1].map((turn) => turns.map((ofLatent) => Number(ofLatent === turn)));
        let norm = 0;
        for (const mask of masks) norm += await backend.squaredGradientNorm({ ...input, mask });
        const bound = 1e-12 * norm;
        assertClose('norm', [norm], [await backend.squaredGradientNorm(expected)], () => bound);
        await backend.updateRows(expected);
        for (const mask of masks) await backend.updateRows({ ...input, mask });
        for (const key of ['weights', 'firstMoments', 'secondMoments'] as const)
          assert.deepEqual(input[key], expected[key], `${key} in turns ${turns.join()}`);
      }
    }
  });

  test('updateRows leaves a row of length 0, and a silent row without moments, as they are', async () => {
    const backend = await open();
    const random = new Random(7);
    const codes = codesCase(random, 3, 5, normals);
    const silent = {
      ...codes,
      rowPointers: new Uint32Array(4),
      latentIndices: new Uint32Array(0),
      values: new Float32Array(0),
    };
    for (const constraint of ['none', 'unitNorm'] as const) {
      const input = silentCase(random, await backend.transpose(silent), 19, constraint);
      input.firstMoments.fill(0);
      input.secondMoments.fill(0);
      input.weights.fill(0);
      for (let j = 1; j < 5; j++) input.weights[j * 19 + j] = -1;
      const before = input.weights.slice();
      await backend.updateRows(input);
      assertClose('weights', input.weights, before, () => 0);
    }
  });

  test('updateRows with bf16 moments differs from f32 by the rounding of the moments alone', async () => {
    const backend = await open();
    const random = new Random(14);
    for (const { nRows, dIn: width, dSae } of SHAPES) {
      const byLatent = await referenceBackend.transpose(codesCase(random, nRows, dSae, normals));
      const input = withBf16Moments(updateCase(random, byLatent, width, 'unitNorm'));
      const [first, second] = [input.firstMoments, input.secondMoments].map((bits) => decodeBf16(bits));
      const expected = {
        ...input,
        weights: input.weights.slice(),
        firstMoments: first,
        secondMoments: second,
      };
      await backend.updateRows(expected);
      await backend.updateRows(input);
      assertClose('weights', input.weights, expected.weights, () => 0);
      for (const key of ['firstMoments', 'secondMoments'] as const) {
        const rounded = decodeBf16(input[key]);
        assertClose(key, rounded, expected[key], (i) => 2 ** -7 * Math.abs(expected[key][i]));
      }
    }
  });

  test('a bf16 moment decays on average as an f32 one, though a step is less than half a unit', async () => {
    const backend = await open();
    const codes = { nRows: 1, dSae: 8, rowPointers: new Uint32Array(2), latentIndices: new Uint32Array(0) };
    const byLatent = await backend.transpose({ ...codes, values: new Float32Array(0) });
    const input = withBf16Moments(silentCase(new Random(15), byLatent, 64, 'none'));
    const before = decodeBf16(input.secondMoments);
    const nSteps = 300;
    for (let step = 1; step <= nSteps; step++) {
      await backend.updateRows({ ...input, adam: { ...input.adam, beta2: 0.999, step } });
    }
    const mean = (values: Float32Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const share = mean(decodeBf16(input.secondMoments)) / mean(before);
    assert.ok(Math.abs(share - 0.999 ** nSteps) < 0.01, `${share} instead of ${0.999 ** nSteps}`);
  });

  test('squaredGradientNorm is the square of the gradient that updateRows uses', async () => {
    const backend = await open();
    const random = new Random(16);
    for (const { nRows, dIn: width, dSae } of shapes(random)) {
      const byLatent = await referenceBackend.transpose(codesCase(random, nRows, dSae, normals));
      for (const constraint of ['none', 'unitNorm'] as const) {
        const input = updateCase(random, byLatent, width, constraint);
        const expected = await referenceBackend.squaredGradientNorm(input);
        const actual = await backend.squaredGradientNorm(input);
        // What the projection removes leaves its rounding behind.
        const whole = await referenceBackend.squaredGradientNorm({ ...input, constraint: 'none' });
        assertClose('norm', [actual], [expected], () => 2e-5 * whole);
      }
    }
  });

  test('weights that are no longer finite are an error that names the latent', async () => {
    const backend = await open();
    const random = new Random(19);
    const byLatent = await backend.transpose(codesCase(random, 40, 30, normals));
    for (const moments of ['f32', 'bf16']) {
      const whole = updateCase(random, byLatent, 19, 'unitNorm');
      const input = moments === 'bf16' ? withBf16Moments(whole) : whole;
      await backend.updateRows(input);
      const latent =
        byLatent.latentPointers.findIndex((end, j) => j > 12 && end > byLatent.latentPointers[j - 1]) - 1;
      input.coefficients[byLatent.pairIndices[byLatent.latentPointers[latent]]] = NaN;
      await assert.rejects(backend.updateRows(input), {
        code: 'ERR_NOT_FINITE',
        message: new RegExp(`latent ${latent} `),
      });
    }
  });
}

/** With no further sums: without pairs the gradient is zero. */
function silentCase(...of: Parameters<typeof updateCase>): UpdateCase {
  return { ...updateCase(...of), also: undefined, pull: undefined };
}

function decodeBf16(bits: Moments): Float32Array {
  return decodeFloats(new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength), 'BF16');
}

function copyOfUpdate(input: UpdateCase): UpdateCase {
  const { weights, firstMoments, secondMoments } = input;
  return {
    ...input,
    weights: unaligned(weights),
    firstMoments: unaligned(firstMoments),
    secondMoments: unaligned(secondMoments),
  };
}
