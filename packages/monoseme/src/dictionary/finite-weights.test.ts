import assert from 'node:assert/strict';
import { test } from 'node:test';
import { referenceBackend } from '../kernels/reference/index.ts';
import { decode, type Dictionary, encode, type Weights } from './dictionary.ts';

function dictionary(change: Partial<Weights> = {}): Dictionary {
  const weights = {
    W_enc: Float32Array.of(1, 0, 0, 1),
    b_enc: new Float32Array(2),
    W_dec: Float32Array.of(1, 0, 0, 1),
    b_dec: new Float32Array(2),
    ...change,
  };
  const names = { hookName: 'mlp', modelName: 'none', contextSize: undefined };
  const config = { architecture: 'standard', dIn: 2, dSae: 2, applyBDecToInput: true, metadata: {} } as const;
  return { config: { ...config, ...names }, weights };
}

test('weights that hold NaN or infinity are refused by name, before they encode or decode', async () => {
  const x = Float32Array.of(3, -1);
  const codes = await encode(dictionary(), referenceBackend, x, 1);
  for (const name of ['W_enc', 'b_enc', 'W_dec', 'b_dec', 'threshold', 'b_mag', 'r_mag'] as const) {
    for (const value of [NaN, -Infinity]) {
      const broken = dictionary({
        [name]: Float32Array.of(0, value, 0, 0).subarray(0, name.startsWith('W') ? 4 : 2),
      });
      const error = { code: 'ERR_NOT_FINITE', message: new RegExp(`^${name} .* ${value} at element 1\\.`) };
      await assert.rejects(encode(broken, referenceBackend, x, 1), error);
      await assert.rejects(decode(broken, referenceBackend, codes), error);
    }
  }
});
