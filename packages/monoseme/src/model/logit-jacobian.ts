import type { TokenSequence } from '../corpus/index.ts';
import { MonosemeError, throwIfAborted } from '../errors.ts';
import { hashSeed, Random } from '../random/index.ts';
import { expectFinite, expectPositiveInteger } from '../tensor/index.ts';
import type { ModelRunner } from './model-runner.ts';

/** Half the distance of the two points of a difference, as a share of the activations' root mean square. */
const RELATIVE_STEP = 0.1;

export interface JacobianOptions {
  /** Contexts over which the mean is taken. */
  nReferences?: number;
  /** Length of the piece of text before and at each reference position. */
  referenceTokens?: number;
  seed?: number;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

/**
 * What a small change of the activations does to the logits at the same position, on average over real text.
 *
 *   J[i, v] = mean over references r of ∂ logits_r[v] / ∂ x_r[i],   f32 [dIn, vocab], row-major
 *
 * A reference is the last position of a piece of `referenceTokens` tokens, drawn (seeded) from a context of
 * its own while there are enough contexts. With it a latent with decoder direction d has the logit weights v
 * = Jᵀ d.
 *
 * The derivative is a central difference, (logits(x + h e_i) − logits(x − h e_i)) / 2h with h = 0.1 · RMS(x),
 * of the model's own suffix, so it holds for any graph. Its error is of order h² (the curvature of the last
 * norm) and of the rounding of f32 logits: 2e-4 of the largest entry on the test models. At a hook before a
 * kink (a ReLU's input) it is the mean slope over the step.
 *
 * Deviation from Bricken et al. 2023 (W_U · L · π · W_down · d, L a diagonal approximation of the layer
 * norm): here the norm's full derivative is taken, at real activations, and everything between the hook and
 * the logits takes part, later blocks included.
 *
 * @param runner started with `suffix: true` (else the suffix is made now)
 * @param tokens [nContexts, contextSize]
 * @throws {MonosemeError} ERR_EMPTY_TEXT without a context; ERR_OPTION, ERR_MODEL, ERR_NOT_FINITE,
 * ERR_INTERRUPTED
 */
export async function averageLogitJacobian(
  runner: ModelRunner,
  tokens: TokenSequence,
  contextSize: number,
  options: JacobianOptions = {},
): Promise<Float32Array<ArrayBuffer>> {
  const { nReferences = 32, referenceTokens = 16, seed = 0, signal, onProgress } = options;
  expectPositiveInteger('The number of references', nReferences);
  expectPositiveInteger('The number of tokens of a reference', referenceTokens);
  const length = Math.min(referenceTokens, contextSize);
  const references = drawReferences(tokens, contextSize, nReferences, length, seed);

  // Every reference twice: the first half of the batch goes a step up, the second half a step down.
  const twice = new Uint32Array(2 * references.length);
  twice.set(references);
  twice.set(references, references.length);
  const batch = await runner.openBatch(twice, length, { oneRun: true });
  try {
    const nRows = twice.length / length;
    const step = RELATIVE_STEP * rootMeanSquare(batch.activations);
    const steps = new Float32Array(nRows).fill(step, 0, nRows / 2).fill(-step, nRows / 2);
    const rowWeights = steps.map((signed) => 1 / (signed * nRows));
    const { dIn } = runner;
    const jacobian = new Float32Array(dIn * runner.vocabSize!);
    for (let i = 0; i < dIn; i++) {
      throwIfAborted(signal);
      const row = await batch.nudgedLastLogits(i, steps, rowWeights);
      jacobian.set(row, i * row.length);
      onProgress?.(i + 1, dIn);
    }
    expectFinite('The effect of the activations on the logits', jacobian);
    return jacobian;
  } finally {
    await batch.close();
  }
}

/**
 * Pieces of text [n, length], one a context in a random order; contexts come again only when there are too
 * few.
 */
function drawReferences(
  tokens: TokenSequence,
  contextSize: number,
  n: number,
  length: number,
  seed: number,
): Uint32Array {
  const nContexts = Math.floor(tokens.length / contextSize);
  if (nContexts === 0)
    throw new MonosemeError(
      'ERR_EMPTY_TEXT',
      'There is no context to take references from.',
      'Give more text.',
    );
  const random = new Random(hashSeed(seed, 'logit jacobian'));
  const order = random.permutation(nContexts);
  const references = new Uint32Array(n * length);
  for (let r = 0; r < n; r++) {
    const start = order[r % nContexts] * contextSize + random.integer(contextSize - length + 1);
    references.set(tokens.subarray(start, start + length), r * length);
  }
  return references;
}

function rootMeanSquare(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] * values[i];
  return Math.sqrt(sum / values.length) || 1;
}
