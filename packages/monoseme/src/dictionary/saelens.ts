import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { MonosemeError } from '../errors.ts';
import { readJson, readSafetensors, writeJson, writeSafetensors } from '../formats/index.ts';
import { expectFinite } from '../tensor/index.ts';
import type { Dictionary, DictionaryConfig } from './dictionary.ts';

/** A configuration is a few hundred bytes; a megabyte leaves room for any metadata and no room for abuse. */
const MAX_CONFIG_BYTES = 1 << 20;

/** Largest sizes read from a file: 2^20 inputs and 2^24 latents are far past every published dictionary. */
const MAX_D_IN = 1 << 20;
const MAX_D_SAE = 1 << 24;

/**
 * Write a dictionary in the layout of SAELens: `cfg.json` and `sae_weights.safetensors`
 * (W_enc [dIn, dSae], W_dec [dSae, dIn], F32). SAELens loads it without conversion.
 */
export async function saveDictionary(folder: string, dictionary: Dictionary): Promise<void> {
  const { config, weights } = dictionary;
  const { dIn, dSae } = config;
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, 'sae_weights.safetensors'), {
    W_enc: { dtype: 'F32', shape: [dIn, dSae], data: transposed(weights.W_enc, dSae, dIn) },
    W_dec: { dtype: 'F32', shape: [dSae, dIn], data: weights.W_dec },
    b_dec: { dtype: 'F32', shape: [dIn], data: weights.b_dec },
    b_enc: { dtype: 'F32', shape: [dSae], data: weights.b_enc },
  });
  await writeJson(join(folder, 'cfg.json'), {
    architecture: config.architecture,
    d_in: dIn,
    d_sae: dSae,
    dtype: 'float32',
    device: 'cpu',
    apply_b_dec_to_input: config.applyBDecToInput,
    normalize_activations: 'none',
    reshape_activations: 'none',
    metadata: {
      ...config.metadata,
      sae_lens_version: '6.18.0',
      model_name: config.modelName,
      hook_name: config.hookName,
      context_size: config.contextSize ?? null,
    },
  });
}

/**
 * Read a dictionary in the layout of SAELens.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FORMAT (a setting this version cannot honour, tensors that do not fit
 *   the configuration), ERR_NOT_FINITE (naming the tensor)
 */
export async function loadDictionary(folder: string): Promise<Dictionary> {
  const configPath = join(folder, 'cfg.json');
  const config = parseConfig(await readJson(configPath, MAX_CONFIG_BYTES), configPath);
  const { dIn, dSae } = config;
  const file = await readSafetensors(join(folder, 'sae_weights.safetensors'));
  try {
    const weights = {
      W_enc: transposed(await file.floats('W_enc', [dIn, dSae]), dIn, dSae),
      b_enc: await file.floats('b_enc', [dSae]),
      W_dec: await file.floats('W_dec', [dSae, dIn]),
      b_dec: await file.floats('b_dec', [dIn]),
    };
    for (const [name, values] of Object.entries(weights)) expectFinite(name, values);
    return { config, weights };
  } finally {
    await file.close();
  }
}

function parseConfig(json: unknown, path: string): DictionaryConfig {
  const fail = (what: string, advice: string) => new MonosemeError('ERR_FORMAT', `${path}: ${what}.`, advice);
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw fail('it is not a JSON object', 'It should be the cfg.json that SAELens writes.');
  const record = json as Record<string, unknown>;
  const size = (key: string, max: number): number => {
    const value = record[key];
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= max) return value;
    throw fail(`${key} is ${JSON.stringify(value)}`, `It should be a whole number from 1 to ${max}.`);
  };
  const expectValue = (key: string, allowed: unknown[]): void => {
    if (allowed.includes(record[key])) return;
    const list = allowed.filter((value) => value !== undefined).map((value) => JSON.stringify(value));
    throw fail(`${key} is ${JSON.stringify(record[key])}`, `This version reads ${list.join(' or ')}.`);
  };
  expectValue('architecture', ['standard', undefined]);
  expectValue('normalize_activations', ['none', undefined]);
  expectValue('reshape_activations', ['none', undefined]);
  const metadata = (record['metadata'] ?? {}) as Record<string, unknown>;
  return {
    architecture: 'standard',
    dIn: size('d_in', MAX_D_IN),
    dSae: size('d_sae', MAX_D_SAE),
    hookName: String(metadata['hook_name'] ?? ''),
    modelName: String(metadata['model_name'] ?? ''),
    contextSize: typeof metadata['context_size'] === 'number' ? metadata['context_size'] : undefined,
    applyBDecToInput: record['apply_b_dec_to_input'] !== false,
    metadata,
  };
}

/** The transpose of a row-major [nRows, nColumns] matrix, walked in square blocks so that both sides stay in cache. */
function transposed(matrix: Float32Array, nRows: number, nColumns: number): Float32Array {
  const out = new Float32Array(matrix.length);
  const block = 32;
  for (let r0 = 0; r0 < nRows; r0 += block) {
    const r1 = Math.min(r0 + block, nRows);
    for (let c0 = 0; c0 < nColumns; c0 += block) {
      const c1 = Math.min(c0 + block, nColumns);
      for (let r = r0; r < r1; r++) {
        for (let c = c0; c < c1; c++) out[c * nRows + r] = matrix[r * nColumns + c];
      }
    }
  }
  return out;
}
