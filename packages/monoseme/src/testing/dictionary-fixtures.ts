import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readSafetensors } from '../formats/index.ts';
import type { Codes } from '../kernels/contract.ts';
import { fixture } from './fixtures.ts';

/** Sizes of the dictionaries of fixtures/dictionaries/: rows of their golden values, width of inputs, latents. */
export const [ROWS, D_IN, D_SAE] = [16, 5, 9];

/** Names of the dictionaries that Python packages wrote. */
export const DICTIONARIES: readonly string[] = readdirSync(fixture('dictionaries'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

/** The folder of a fixture's weights and configuration: some stand deeper, as they are published. */
export function dictionaryPath(name: string): string {
  let path = fixture('dictionaries', name);
  for (;;) {
    const [first, ...others] = readdirSync(path, { withFileTypes: true });
    if (others.length > 0 || !first.isDirectory()) return path;
    path = join(path, first.name);
  }
}

/** Inputs [ROWS, D_IN], latent activations [ROWS, D_SAE] and reconstructions by the package that wrote a fixture. */
export async function golden(name: string) {
  const file = await readSafetensors(fixture('dictionaries', `${name}.golden.safetensors`));
  try {
    return {
      x: await file.floats('x', [ROWS, D_IN]),
      acts: await file.floats('acts', [ROWS, D_SAE]),
      xhat: await file.floats('xhat'),
    };
  } finally {
    await file.close();
  }
}

/** Codes as a dense matrix [ROWS, D_SAE]. */
export function dense({ rowPointers, latentIndices, values }: Codes): Float32Array {
  const out = new Float32Array(ROWS * D_SAE);
  for (let row = 0; row < ROWS; row++) {
    for (let pair = rowPointers[row]; pair < rowPointers[row + 1]; pair++)
      out[row * D_SAE + latentIndices[pair]] = values[pair];
  }
  return out;
}

/** Every element within 1e-5, of itself and absolutely. */
export function expectClose(actual: ArrayLike<number>, expected: Float32Array, what: string): void {
  assert.equal(actual.length, expected.length, what);
  expected.forEach((value, i) =>
    assert.ok(
      Math.abs(actual[i] - value) <= 1e-5 * (1 + Math.abs(value)),
      `${what}[${i}]: ${actual[i]}, expected ${value}`,
    ),
  );
}
