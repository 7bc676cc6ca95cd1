import type { Codes, KernelBackend, ScreenedWeights } from '../kernels/contract.ts';

/** When matching pursuit ends for a row, beside the case that nothing explains its residual. */
export interface Pursuit {
  /** Once the residual is shorter than this, in the unit of the activations; 0 for never. */
  readonly residualThreshold: number;
  readonly maxIterations: number;
  /** Once a latent is chosen a second time. */
  readonly stopOnDuplicateSupport: boolean;
}

export interface PursuitInput {
  readonly backend: KernelBackend;
  /** [nRows, dIn], without b_dec where the dictionary has it subtracted. */
  readonly x: Float32Array;
  readonly nRows: number;
  /** [dSae, dIn]: its rows are the encoder too. */
  readonly W_dec: Float32Array;
  readonly dSae: number;
  readonly pursuit: Pursuit;
  readonly screened?: ScreenedWeights;
}

/**
 * Codes by matching pursuit (Mallat and Zhang 1993; as in SAELens's `matching_pursuit`).
 *
 * Formula  r = x, f = 0; then j = argmax ⟨r, W_dec[j]⟩ (the lower of equals), a = ⟨r, W_dec[j]⟩, f_j += a,
 *          r −= a W_dec[j]; until no a is positive or the pursuit ends
 * Order    latents ascending within a row
 */
export async function matchingPursuit(input: PursuitInput): Promise<Codes> {
  const { backend, nRows, W_dec, dSae, pursuit, screened } = input;
  const dIn = W_dec.length / dSae;
  const b_enc = new Float32Array(dSae);
  const chosen = Array.from({ length: nRows }, () => new Map<number, number>());
  let rows = Uint32Array.from({ length: nRows }, (_, row) => row);
  // The residuals of the rows that go on, one after another.
  let residuals = input.x.slice();
  for (let iteration = 0; iteration < pursuit.maxIterations && rows.length > 0; iteration++) {
    const { rowPointers, latentIndices, values } = await backend.encode({
      ...{ x: residuals, nRows: rows.length, dIn, dSae, W_enc: W_dec, b_enc, screened },
      selection: { kind: 'topK', k: 1 },
    });
    const goesOn = rows.map((row, i) => {
      const pair = rowPointers[i];
      if (rowPointers[i + 1] === pair) return 0;
      const [j, value] = [latentIndices[pair], values[pair]];
      const acts = chosen[row];
      const isDuplicate = acts.has(j);
      acts.set(j, (acts.get(j) ?? 0) + value);
      const residual = residuals.subarray(i * dIn, (i + 1) * dIn);
      const length = lengthWithout_(residual, W_dec.subarray(j * dIn, (j + 1) * dIn), value);
      const isDone = isDuplicate && pursuit.stopOnDuplicateSupport;
      return isDone || length < pursuit.residualThreshold ? 0 : 1;
    });
    residuals = residuals.filter((_, i) => goesOn[Math.floor(i / dIn)] === 1);
    rows = rows.filter((_, i) => goesOn[i] === 1);
  }
  return codesOf(chosen, dSae);
}

/** residual ← residual − value · direction. @returns its length */
function lengthWithout_(residual: Float32Array, direction: Float32Array, value: number): number {
  let square = 0;
  for (let i = 0; i < residual.length; i++) {
    residual[i] -= value * direction[i];
    square += residual[i] * residual[i];
  }
  return Math.sqrt(square);
}

function codesOf(chosen: readonly ReadonlyMap<number, number>[], dSae: number): Codes {
  const rows = chosen.map((acts) => [...acts].sort(([a], [b]) => a - b));
  const pairs = rows.flat();
  const rowPointers = new Uint32Array(rows.length + 1);
  rows.forEach(({ length }, row) => (rowPointers[row + 1] = rowPointers[row] + length));
  return {
    nRows: rows.length,
    dSae,
    rowPointers,
    latentIndices: Uint32Array.from(pairs, ([j]) => j),
    values: Float32Array.from(pairs, ([, value]) => value),
  };
}
