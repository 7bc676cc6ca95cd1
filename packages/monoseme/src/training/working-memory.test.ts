import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadBinding } from '@monoseme/kernels-native';
import { architectureNamed } from '../dictionary/index.ts';
import { type KernelBackend, selectBackend } from '../kernels/index.ts';
import { Random } from '../random/index.ts';
import { skipReason } from '../testing/every-backend.ts';
import { trainState } from './parameters.ts';
import { rowLayout } from './row-layout.ts';
import { trainStep_ } from './step.ts';

/*
 * What a run holds beyond its weights, their moments and the batch, by counting what is allocated: by the kernels, and
 * as arrays by JavaScript, looked at around every call of a primitive.
 */

const MIB = 2 ** 20;

/** The most bytes in arrays of JavaScript around any call of the backend. */
class Watched {
  most = 0;

  watch(backend: KernelBackend): KernelBackend {
    const looking =
      <I, O>(call: (input: I) => Promise<O>) =>
      async (input: I): Promise<O> => {
        this.#look();
        const result = await call(input);
        this.#look();
        return result;
      };
    return {
      ...backend,
      encode: looking(backend.encode),
      residuals: looking(backend.residuals),
      transpose: looking(backend.transpose),
      updateRows: looking(backend.updateRows),
    };
  }

  #look(): void {
    this.most = Math.max(this.most, process.memoryUsage().arrayBuffers);
  }
}

/** Numbers between −1 and 1 that cost nothing to draw. */
function filled_(values: Float32Array, scale: number, random: Random): Float32Array {
  let state = random.integer(2 ** 31);
  for (let i = 0; i < values.length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) | 0;
    values[i] = (scale * state) / 2 ** 31;
  }
  return values;
}

for (const [name, dIn, dSae] of [
  ['standard', 512, 8192],
  ['topk', 512, 8192],
  ['standard', 1536, 8192],
] as const) {
  test(
    `${name}, ${dSae} latents of ${dIn}: less than 10 % of the weights and 64 MiB`,
    { skip: skipReason('portable') },
    async () => {
      const nRows = 4096;
      const random = new Random(3);
      const watched = new Watched();
      const backend = watched.watch(await selectBackend({ name: 'native', threads: 2 }));
      const batch = filled_(new Float32Array(nRows * dIn), 1.7, random);
      // The bias leaves about 60 latents a row: pre-activations have a standard deviation of about 1.
      const weights = {
        W_enc: filled_(new Float32Array(dSae * dIn), 1.7 / Math.sqrt(dIn), random),
        b_enc: new Float32Array(dSae).fill(-2.45),
        W_dec: filled_(new Float32Array(dSae * dIn), 1.7 / Math.sqrt(dIn), random),
        b_dec: new Float32Array(dIn),
      };
      const architecture = architectureNamed(name);
      const state = trainState(weights, rowLayout({ dIn }, architecture));
      const bytes = 8 * dSae * dIn;
      const given = 3 * bytes + batch.byteLength;
      for (let step = 1; step <= 4; step++) {
        const adam = { learningRate: 1e-7, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, step };
        const sums = await trainStep_(state, backend, batch, {
          l1Coefficient: 0,
          adam,
          unitNormDecoder: true,
          trainDecoderBias: true,
          architecture,
          settings: { k: 64 },
        });
        assert.ok(sums.l0 > 30 * nRows && sums.l0 < 130 * nRows, `L0 ${sums.l0 / nRows}`);
      }
      const working = watched.most + loadBinding().mostHeldBytes() - given;
      const limit = 0.1 * bytes + 64 * MIB;
      assert.ok(working > batch.byteLength, `${working / MIB} MiB cannot hold the residuals`);
      assert.ok(working < limit, `${(working / MIB).toFixed(1)} MiB of ${(limit / MIB).toFixed(1)}`);
    },
  );
}
