import type { ActivationSource } from '../activations/index.ts';
import { centered } from '../dictionary/index.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import { hashSeed, Random } from '../random/index.ts';
import type { TrainOptions } from './options.ts';
import { dropScreened_, type TrainState } from './parameters.ts';
import { randomChunks } from './random-chunks.ts';
import { prepareRows_ } from './row-layout.ts';
import { restartAverage_ } from './weight-average.ts';

/** A resampled latent's encoder row has this share of the mean encoder norm of the living. */
const ENCODER_NORM_SHARE = 0.2;

/**
 * Neuron resampling (Bricken et al. 2023).
 *
 * Each dead latent j is given an input x, drawn without replacement with probability ∝ loss(x)², where loss is the
 * full ‖x − x̂‖² + λ‖f‖₁:  W_dec[j] = x/‖x‖,  W_enc[j] = x/‖x‖ · 0.2 · mean‖W_enc‖ over the living,  b_enc[j] = 0;
 * the Adam moments of all three are zeroed, the step counter of Adam goes on. Averages of the weights begin anew there.
 *
 * The draw is a weighted reservoir (Efraimidis and Spirakis 2006: the n largest log(u)/w), so memory is that of the
 * drawn inputs whatever the size of the sample. Inputs with zero loss are never drawn; when fewer inputs than dead
 * latents have any, the rest of the dead stay as they are.
 *
 * @returns the latents resampled
 * Mutates state
 */
export async function resample_(
  state: TrainState,
  dead: readonly number[],
  source: ActivationSource,
  backend: KernelBackend,
  l1Coefficient: number,
  options: TrainOptions,
): Promise<number> {
  if (dead.length === 0) return 0;
  const reservoir = new WeightedReservoir(
    dead.length,
    state.dIn,
    hashSeed(options.seed, 'resample draw', state.step),
  );
  let seen = 0;
  const chunks = randomChunks(source, hashSeed(options.seed, 'resample', state.step));
  for await (const chunk of chunks) {
    const rows = prepareRows_(chunk.subarray(0, (options.resampleInputs - seen) * state.dIn), state.layout);
    const losses = await inputLosses(state, backend, rows, l1Coefficient);
    for (let row = 0; row < losses.length; row++)
      reservoir.offer(rows, row, hasDirection(rows, row, state.dIn) ? losses[row] ** 2 : 0);
    seen += losses.length;
    if (seen >= options.resampleInputs) break;
  }
  const inputs = reservoir.drawn();
  dropScreened_(state, backend);
  replaceLatents_(state, dead, inputs);
  restartAverage_(state, dead.slice(0, inputs.length));
  return inputs.length;
}

/** An input of length zero gives no direction to start from. */
function hasDirection(rows: Float32Array, row: number, width: number): boolean {
  return rows.subarray(row * width, (row + 1) * width).some((value) => value !== 0);
}

async function inputLosses(
  state: TrainState,
  backend: KernelBackend,
  rows: Float32Array,
  l1Coefficient: number,
): Promise<Float64Array> {
  const { dIn, dSae } = state;
  const nRows = rows.length / dIn;
  const codes = await backend.encode({
    x: centered(rows, state.decoderBias.values, true),
    nRows,
    dIn,
    dSae,
    W_enc: state.encoder.weights,
    b_enc: state.encoderBias.values,
    selection: { kind: 'threshold' },
  });
  const { squaredErrors } = await backend.residuals({
    codes,
    dOut: dIn,
    W_dec: state.decoder.weights,
    b_dec: state.decoderBias.values,
    target: rows,
  });
  for (let row = 0; row < nRows; row++) {
    for (let pair = codes.rowPointers[row]; pair < codes.rowPointers[row + 1]; pair++) {
      squaredErrors[row] += l1Coefficient * codes.values[pair];
    }
  }
  return squaredErrors;
}

/** Give the first of the dead the inputs, one each. */
function replaceLatents_(state: TrainState, dead: readonly number[], inputs: readonly Float32Array[]): void {
  const { dIn, encoder, decoder, encoderBias } = state;
  const encoderNorm = ENCODER_NORM_SHARE * meanRowNorm(encoder.weights, dIn, new Set(dead));
  inputs.forEach((input, n) => {
    const j = dead[n];
    const norm = Math.sqrt(input.reduce((square, value) => square + value * value, 0));
    const row = j * dIn;
    for (let i = 0; i < dIn; i++) {
      const direction = input[i] / norm;
      decoder.weights[row + i] = direction;
      encoder.weights[row + i] = direction * encoderNorm;
    }
    for (const moments of [
      encoder.firstMoments,
      encoder.secondMoments,
      decoder.firstMoments,
      decoder.secondMoments,
    ])
      moments.fill(0, row, row + dIn);
    encoderBias.values[j] = 0;
    encoderBias.firstMoments[j] = 0;
    encoderBias.secondMoments[j] = 0;
    state.lastFiredStep[j] = state.step;
  });
}

function meanRowNorm(matrix: Float32Array, width: number, except: ReadonlySet<number>): number {
  let total = 0;
  let count = 0;
  for (let j = 0; j < matrix.length / width; j++) {
    if (except.has(j)) continue;
    let square = 0;
    for (let i = j * width; i < (j + 1) * width; i++) square += matrix[i] * matrix[i];
    total += Math.sqrt(square);
    count++;
  }
  return count > 0 ? total / count : 1;
}

/** The n rows with the largest log(u)/w, kept in a binary heap whose root is the least of them. */
class WeightedReservoir {
  readonly #capacity: number;
  readonly #width: number;
  readonly #random: Random;
  readonly #heap: { key: number; row: Float32Array }[] = [];

  constructor(capacity: number, width: number, seed: number) {
    this.#capacity = capacity;
    this.#width = width;
    this.#random = new Random(seed);
  }

  offer(rows: Float32Array, row: number, weight: number): void {
    const key = Math.log(1 - this.#random.uniform()) / weight;
    if (!(weight > 0) || !Number.isFinite(key)) return;
    const heap = this.#heap;
    if (heap.length === this.#capacity && key <= heap[0].key) return;
    const entry = { key, row: rows.slice(row * this.#width, (row + 1) * this.#width) };
    if (heap.length < this.#capacity) this.#siftUp(heap.push(entry) - 1);
    else {
      heap[0] = entry;
      this.#siftDown(0);
    }
  }

  /** The drawn rows, likeliest first. */
  drawn(): Float32Array[] {
    return [...this.#heap].sort((a, b) => b.key - a.key).map((entry) => entry.row);
  }

  #siftUp(index: number): void {
    const heap = this.#heap;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (heap[parent].key <= heap[index].key) return;
      [heap[parent], heap[index]] = [heap[index], heap[parent]];
      index = parent;
    }
  }

  #siftDown(index: number): void {
    const heap = this.#heap;
    for (;;) {
      let least = index;
      for (const child of [2 * index + 1, 2 * index + 2]) {
        if (child < heap.length && heap[child].key < heap[least].key) least = child;
      }
      if (least === index) return;
      [heap[least], heap[index]] = [heap[index], heap[least]];
      index = least;
    }
  }
}
