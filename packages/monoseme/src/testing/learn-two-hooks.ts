import type { ActivationSource } from '../activations/index.ts';
import { architectureNamed, encode } from '../dictionary/index.ts';
import type { KernelBackend } from '../kernels/index.ts';
import { recovery, type Recovery } from '../toy/index.ts';
import { resolveOptions, trainInMemory, type TrainOptions } from '../training/index.ts';
import { PLANTED } from './learn.ts';
import { plantedSource } from './planted.ts';

/** As `learn`, for architectures that read two hook points: the same features in other directions at the second. */
export async function learnTwoHooks(
  backend: KernelBackend,
  steps: number,
  changes: Partial<TrainOptions>,
): Promise<Recovery & { l0: number }> {
  const given = { ...PLANTED, ...changes };
  const options = resolveOptions({ ...given, tokens: steps * (given.batchRows as number) });
  const nChunks = Math.ceil(options.tokens / 4096);
  const [first, second] = [1, 2].map((seed) => plantedSource({ nChunks, chunkRows: 4096, seed }));
  const source: ActivationSource = {
    ...{ dIn: 128, contextSize: 1, nChunks, description: 'planted twice', hash: first.hash },
    widths: [64, 64],
    chunkRows: () => 4096,
    readChunk: async (chunk) => {
      const truth = first.truth(chunk);
      return sideBySide(first.rowsOf(truth, chunk), second.rowsOf(truth, chunk));
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
  return { ...recovery(truth, W_dec, isTranscoder ? 64 : 128), l0: codes.values.length / 4096 };
}

/** [a | b], rows 64 wide. */
function sideBySide(a: Float32Array, b: Float32Array): Float32Array {
  const both = new Float32Array(2 * a.length);
  for (let at = 0; at < a.length; at += 64) {
    both.set(a.subarray(at, at + 64), 2 * at);
    both.set(b.subarray(at, at + 64), 2 * at + 64);
  }
  return both;
}

/** The directions of features in the target, less what a skip connection makes of their directions in the input. */
function withoutSkip(targets: Float32Array, inputs: Float32Array, W_skip?: Float32Array): Float32Array {
  if (!W_skip) return targets;
  return targets.map((value, at) => {
    const [feature, o] = [Math.floor(at / 64), at % 64];
    for (let i = 0; i < 64; i++) value -= inputs[feature * 64 + i] * W_skip[i * 64 + o];
    return value;
  });
}
