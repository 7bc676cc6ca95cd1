/*
 * Takes steps of training and prints what they held beyond weights, moments and batch, by counting what is allocated: by
 * the kernels, and as arrays by JavaScript, looked at around every call of a primitive. A program of its own, so that it
 * counts nothing else. Arguments: architecture, dIn, dSae, and how many latents count as dead in every step.
 */
import { loadBinding } from '@monoseme/kernels-native';
import { architectureNamed, type RowKind } from '../dictionary/index.ts';
import { type KernelBackend, selectBackend } from '../kernels/index.ts';
import { Random } from '../random/index.ts';
import { trainState } from '../training/parameters.ts';
import { rowLayout, rowParts, totalWidth } from '../training/row-layout.ts';
import { trainStep_ } from '../training/step.ts';

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
      nestedResiduals: looking(backend.nestedResiduals),
      product: looking(backend.product),
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

/** Hook points whose columns make up a row. */
function widthsOf(rows: RowKind | undefined): number[] {
  if (rows === 'sources') return [dIn / 2, dIn / 2];
  return rows === 'input-and-target' ? [dIn, dIn] : [dIn];
}

const N_ROWS = 4096;
const N_STEPS = 3;
const name = process.argv[2];
const [dIn, dSae, nDead = 0] = process.argv.slice(3).map(Number);
const random = new Random(3);
const watched = new Watched();
const backend = watched.watch(await selectBackend({ name: 'native', threads: 2 }));
const architecture = architectureNamed(name);
const layout = rowLayout({ dIn, widths: widthsOf(architecture.rows) }, architecture);
const nColumns = totalWidth(rowParts(layout));
const batch = filled_(new Float32Array(N_ROWS * nColumns), 1.7, random);
// The bias leaves about 60 latents a row: pre-activations have a standard deviation of about 1. The k largest need none,
// and those that count as dead are hardly ever among them.
const weights = {
  W_enc: filled_(new Float32Array(dSae * dIn), 1.7 / Math.sqrt(dIn), random),
  b_enc: new Float32Array(dSae).fill(architecture.settings.k ? 0 : -2.45).fill(-1.5, 0, nDead),
  W_dec: filled_(new Float32Array(dSae * dIn), 1.7 / Math.sqrt(dIn), random),
  b_dec: new Float32Array(dIn),
  ...(architecture.hasSkip && { W_skip: new Float32Array(dIn * dIn) }),
};
const settings = { ...architecture.settings };
const begun = architecture.start?.(dSae, 1, settings);
// A threshold is moved to where the bias puts the others'.
begun?.further.log_threshold?.forEach((value, j) => (weights.b_enc[j] += Math.exp(value)));
const state = trainState(weights, layout, begun);
let l0 = 0;
for (let step = 1; step <= N_STEPS; step++) {
  state.lastFiredStep.fill(-N_STEPS, 0, nDead);
  const sums = await trainStep_(state, backend, batch, {
    l1Coefficient: architecture.coefficient ? 1e-3 : 0,
    adam: { learningRate: 1e-7, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, step },
    unitNormDecoder: true,
    trainDecoderBias: true,
    architecture,
    settings,
    // Where BatchTopK chooses from the whole batch.
    progress: 0.9,
    deadAfterSteps: N_STEPS + 1,
  });
  l0 = sums.l0 / N_ROWS;
}
const weightBytes = 8 * dSae * dIn + (state.skip?.weights.byteLength ?? 0);
const working = watched.most + loadBinding().mostHeldBytes() - 3 * weightBytes - batch.byteLength;
const residuals = 4 * N_ROWS * dIn;
process.stdout.write(`${JSON.stringify({ l0, working, weights: weightBytes, residuals })}\n`);
