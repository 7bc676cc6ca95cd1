import type { ActivationSource } from '../activations/index.ts';
import { architectureNamed, encode } from '../dictionary/index.ts';
import type { KernelBackend } from '../kernels/index.ts';
import { recovery, type Recovery } from '../toy/index.ts';
import { resolveOptions, trainInMemory, type TrainOptions } from '../training/index.ts';
import { plantedSource, SMALL, SMALL_SET } from './planted.ts';

const WIDTH = SMALL_SET.dIn;

/** As `learn`, for one that reads two hook points: the same features in other directions at the second. */
export async function learnTwoHooks(
  backend: KernelBackend,
  steps: number,
  changes: Partial<TrainOptions>,
): Promise<Recovery & { l0: number }> {
  const given = { ...SMALL, ...changes };
  const options = resolveOptions({ ...given, tokens: steps * (given.batchRows as number) });
  const nChunks = Math.ceil(options.tokens / 4096);
  const [first, second] = [1, 2].map((seed) =>
    plantedSource({ nChunks, chunkRows: 4096, seed }, SMALL_SET, backend),
  );
  const source: ActivationSource = {
    ...{ dIn: 2 * WIDTH, contextSize: 1, nChunks, description: 'planted twice', hash: first.hash },
    widths: [WIDTH, WIDTH],
    chunkRows: () => 4096,
    readChunk: async (chunk) => {
      const truth = await first.truth(chunk);
      return sideBySide(await first.rowsOf(truth, chunk), await second.rowsOf(truth, chunk));
    },
  };
  const { dictionary } = await trainInMemory({ source, backend, options });
  const isTranscoder = architectureNamed(options.architecture).rows === 'input-and-target';
  const x = isTranscoder ? await first.readChunk(nChunks) : await source.readChunk(nChunks);
  const codes = await encode(dictionary, backend, x, 4096);
  const { W_dec, W_skip } = dictionary.weights;
  const truth = isTranscoder
    ? withoutSkip(second.features, first.features, W_skip)
    : sideBySide(first.features, second.features);
  const found = await recovery(backend, truth, W_dec, isTranscoder ? WIDTH : 2 * WIDTH);
  return { ...found, l0: codes.values.length / 4096 };
}

/** [a | b] row by row. */
function sideBySide(a: Float32Array, b: Float32Array): Float32Array {
  const both = new Float32Array(2 * a.length);
  for (let at = 0; at < a.length; at += WIDTH) {
    both.set(a.subarray(at, at + WIDTH), 2 * at);
    both.set(b.subarray(at, at + WIDTH), 2 * at + WIDTH);
  }
  return both;
}

/** The directions of features in the target, less what a skip connection makes of their directions in the input. */
function withoutSkip(targets: Float32Array, inputs: Float32Array, W_skip?: Float32Array): Float32Array {
  if (!W_skip) return targets;
  return targets.map((value, at) => {
    const [feature, o] = [Math.floor(at / WIDTH), at % WIDTH];
    for (let i = 0; i < WIDTH; i++) value -= inputs[feature * WIDTH + i] * W_skip[i * WIDTH + o];
    return value;
  });
}
