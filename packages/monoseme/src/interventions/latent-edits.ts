import { decode, type Dictionary, encode, rowUnits } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import type { KernelBackend } from '../kernels/index.ts';
import type { Edit } from '../model/index.ts';
import { byRow, chosenRows, type Where } from './edits.ts';

/** A change of one latent's activation f: to 0, to `value`, to value · f, or to f + value. */
export interface LatentEdit {
  readonly latent: number;
  readonly op: 'ablate' | 'clamp' | 'scale' | 'add';
  /** In units of activations for `clamp` and `add`; not used by `ablate`. */
  readonly value?: number;
  /** Where it applies; everywhere by default. */
  readonly where?: Where;
}

export interface LatentEditOptions {
  /**
   * Keep what the dictionary does not reconstruct, x − x̂ (the default): only the edited latents change. Without
   * it the activations become the reconstruction.
   */
  readonly keepError?: boolean;
  /** Rows that are touched at all; all by default. */
  readonly where?: Where;
  /** Place of a context's first row in its text; 0 by default. */
  readonly nBefore?: number;
}

/**
 * Activations with some latents changed.
 *
 *   x' = x + Σ_j (f'_j − f_j) W_dec[j]   with the error kept, else   x' = x̂ + Σ_j (f'_j − f_j) W_dec[j]
 *
 * With a dictionary that normalises rows, the change is multiplied by the row's deviation, the unit of its
 * latents. Edits of one latent are applied one after the other. `clamp` and `add` also act where the latent is inactive.
 *
 * @param x [nRows, dIn]; whole contexts of `contextSize` rows
 * @returns a new array [nRows, dIn]
 * @throws {MonosemeError} ERR_SHAPE, ERR_OPTION (no such latent, a value that is not finite, a transcoder or
 * crosscoder)
 */
export async function editLatentsOf(
  dictionary: Dictionary,
  backend: KernelBackend,
  x: Float32Array,
  contextSize: number,
  edits: readonly LatentEdit[],
  options: LatentEditOptions = {},
): Promise<Float32Array<ArrayBuffer>> {
  const { dIn, dSae } = dictionary.config;
  const { keepError = true, where, nBefore = 0 } = options;
  expectOneTensor(dictionary);
  expectEdits(edits, dSae);
  const all = Array.from({ length: x.length / dIn }, (_, row) => row);
  const places = all.map((row) => [nBefore + (row % contextSize), Math.floor(row / contextSize)] as const);
  const chosen = all.filter((row) => where?.(...places[row]) ?? true);
  const out = Float32Array.from(x);
  if (chosen.length === 0) return out;
  const touched = gather(x, dIn, chosen);
  const { normalization } = dictionary.config;
  const units = normalization && rowUnits(touched, dIn, normalization);
  const codes = await encode(dictionary, backend, touched, chosen.length);
  const reconstructions = keepError ? undefined : await decode(dictionary, backend, codes, touched);
  const before = new Map<number, number>();
  for (const [i, row] of chosen.entries()) {
    if (reconstructions) out.set(reconstructions.subarray(i * dIn, (i + 1) * dIn), row * dIn);
    before.clear();
    for (const { latent } of edits) before.set(latent, 0);
    for (let pair = codes.rowPointers[i]; pair < codes.rowPointers[i + 1]; pair++) {
      const latent = codes.latentIndices[pair];
      if (before.has(latent)) before.set(latent, codes.values[pair]);
    }
    const after = new Map(before);
    for (const edit of edits) {
      if (edit.where?.(...places[row]) ?? true) after.set(edit.latent, edited(edit, after.get(edit.latent)!));
    }
    for (const [latent, value] of after) {
      const change = (value - before.get(latent)!) * (units?.[i] ?? 1);
      if (change === 0) continue;
      const direction = dictionary.weights.W_dec.subarray(latent * dIn, (latent + 1) * dIn);
      for (let d = 0; d < dIn; d++) out[row * dIn + d] += change * direction[d];
    }
  }
  return out;
}

function gather(x: Float32Array, dIn: number, rows: readonly number[]): Float32Array {
  if (rows.length * dIn === x.length) return x;
  const some = new Float32Array(rows.length * dIn);
  rows.forEach((row, i) => some.set(x.subarray(row * dIn, (row + 1) * dIn), i * dIn));
  return some;
}

/** The same as an edit of a hook; see {@link editLatentsOf}. */
export function editLatents(
  dictionary: Dictionary,
  backend: KernelBackend,
  edits: readonly LatentEdit[],
  options: LatentEditOptions = {},
): Edit {
  expectOneTensor(dictionary);
  expectEdits(edits, dictionary.config.dSae);
  return byRow((activations) => {
    const { dIn } = chosenRows(activations);
    if (dIn !== dictionary.config.dIn)
      throw new MonosemeError(
        'ERR_MISMATCH',
        `The dictionary reads ${dictionary.config.dIn} inputs, but ${activations.hookName} is ${dIn} wide.`,
        'Choose the hook that the dictionary was trained on.',
      );
    const { values, contextSize, nBefore } = activations;
    return editLatentsOf(dictionary, backend, values, contextSize, edits, { ...options, nBefore });
  });
}

/** x ← x̂, or with `where` only there. */
export function reconstruct(dictionary: Dictionary, backend: KernelBackend, where?: Where): Edit {
  return editLatents(dictionary, backend, [], { keepError: false, where });
}

function edited({ op, value = 0 }: LatentEdit, before: number): number {
  if (op === 'ablate') return 0;
  if (op === 'clamp') return value;
  return op === 'scale' ? value * before : before + value;
}

function expectOneTensor({ config }: Dictionary): void {
  const { targetHookName, sources } = config;
  if (targetHookName === undefined && !sources) return;
  throw new MonosemeError(
    'ERR_OPTION',
    `The dictionary is a ${sources ? 'crosscoder' : 'transcoder'}: it does not write to the tensor that it reads.`,
    'Edit the latents of one that reconstructs what it reads.',
  );
}

function expectEdits(edits: readonly LatentEdit[], dSae: number): void {
  for (const { latent, op, value } of edits) {
    if (!Number.isSafeInteger(latent) || latent < 0 || latent >= dSae)
      throw new MonosemeError(
        'ERR_OPTION',
        `There is no latent ${latent}.`,
        `There are ${dSae}, counted from 0.`,
      );
    if (op !== 'ablate' && !Number.isFinite(value))
      throw new MonosemeError('ERR_OPTION', `The value to ${op} a latent is ${value}.`, 'It takes a number.');
  }
}
