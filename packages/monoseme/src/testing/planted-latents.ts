import type { Dictionary } from '../dictionary/index.ts';
import type { Codes } from '../kernels/contract.ts';
import { Random } from '../random/index.ts';

/** Directions of length 1, drawn by a seed; `W_enc` = `W_dec`. */
export function directionsDictionary(seed: number, dSae: number, dIn: number): Dictionary {
  const random = new Random(seed);
  const W_dec = Float32Array.from({ length: dSae * dIn }, () => random.normal());
  for (let j = 0; j < dSae; j++) {
    const row = W_dec.subarray(j * dIn, (j + 1) * dIn);
    const length = Math.hypot(...row);
    row.forEach((value, i) => (row[i] = value / length));
  }
  const names = { hookName: '', modelName: '', contextSize: undefined, metadata: {} };
  return {
    config: { architecture: 'standard', dIn, dSae, applyBDecToInput: false, ...names },
    weights: { W_enc: W_dec, W_dec, b_enc: new Float32Array(dSae), b_dec: new Float32Array(dIn) },
  };
}

/** Rows of latent activations as codes. */
export function codesOfMaps(activations: readonly ReadonlyMap<number, number>[], dSae: number): Codes {
  const rows = activations.map((row) => [...row].sort(([a], [b]) => a - b));
  const rowPointers = new Uint32Array(rows.length + 1);
  rows.forEach((row, i) => (rowPointers[i + 1] = rowPointers[i] + row.length));
  return {
    ...{ nRows: rows.length, dSae, rowPointers },
    latentIndices: Uint32Array.from(rows.flat(), ([latent]) => latent),
    values: Float32Array.from(rows.flat(), ([, value]) => value),
  };
}
