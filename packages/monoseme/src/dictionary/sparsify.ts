import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MonosemeError } from '../errors.ts';
import { readJson, readSafetensors, writeJson, writeSafetensors } from '../formats/index.ts';
import type { Dictionary } from './dictionary.ts';
import {
  expectFiniteWeights,
  jsonRecord,
  MAX_CONFIG_BYTES,
  MAX_D_IN,
  MAX_D_SAE,
  sizeOf,
  expectPlainAutoencoder,
} from './exchange.ts';

/**
 * Read a dictionary of sparsify (EleutherAI): `sae.safetensors` with encoder.weight [dSae, dIn], encoder.bias, W_dec
 * [dSae, dIn] (decoder.weight in old files) and b_dec, and `cfg.json` beside it. TopK on a centred input.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FORMAT (also for transcoders and groupmax), ERR_NOT_FINITE
 */
export async function loadSparsify(path: string): Promise<Dictionary> {
  const configPath = join(dirname(path), 'cfg.json');
  const record = jsonRecord(await readJson(configPath, MAX_CONFIG_BYTES), configPath);
  const refuse = (what: string) =>
    new MonosemeError('ERR_FORMAT', `${configPath}: ${what}.`, 'This version reads TopK autoencoders.');
  if ((record['activation'] ?? 'topk') !== 'topk')
    throw refuse(`activation is ${JSON.stringify(record['activation'])}`);
  for (const key of ['transcode', 'skip_connection', 'signed'])
    if (record[key] === true) throw refuse(`${key} is true`);
  const file = await readSafetensors(path);
  try {
    const [rows, columns] = file.info('encoder.weight').shape;
    const dSae = sizeOf({ num_latents: rows }, 'num_latents', MAX_D_SAE, path);
    const dIn = sizeOf({ d_in: columns }, 'd_in', MAX_D_IN, path);
    const isOld = !file.has('W_dec');
    const weights = {
      W_enc: await file.floats('encoder.weight', [dSae, dIn]),
      b_enc: await file.floats('encoder.bias', [dSae]),
      W_dec: await file.floats(isOld ? 'decoder.weight' : 'W_dec', [dSae, dIn]),
      b_dec: await file.floats('b_dec', [dIn]),
    };
    expectFiniteWeights(weights);
    return {
      config: {
        architecture: 'topk',
        k: sizeOf(record, 'k', dSae, configPath),
        dIn,
        dSae,
        hookName: '',
        modelName: '',
        contextSize: undefined,
        applyBDecToInput: true,
        metadata: {},
      },
      weights,
    };
  } finally {
    await file.close();
  }
}

/**
 * Write a dictionary in the layout of sparsify.
 *
 * @throws {MonosemeError} ERR_OPTION for anything but `topk` on a centred input, which is all it has
 */
export async function saveSparsify(folder: string, dictionary: Dictionary): Promise<void> {
  expectPlainAutoencoder(dictionary, 'sparsify');
  const { config, weights } = dictionary;
  const { architecture, applyBDecToInput, dIn, dSae, k } = config;
  if (architecture !== 'topk' || !applyBDecToInput)
    throw new MonosemeError(
      'ERR_OPTION',
      `sparsify has only TopK on a centred input; this is ${architecture}${applyBDecToInput ? '' : ', not centred'}.`,
      'Write it as SAELens.',
    );
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, 'sae.safetensors'), {
    'encoder.weight': { dtype: 'F32', shape: [dSae, dIn], data: weights.W_enc },
    'encoder.bias': { dtype: 'F32', shape: [dSae], data: weights.b_enc },
    W_dec: { dtype: 'F32', shape: [dSae, dIn], data: weights.W_dec },
    b_dec: { dtype: 'F32', shape: [dIn], data: weights.b_dec },
  });
  await writeJson(join(folder, 'cfg.json'), {
    activation: 'topk',
    expansion_factor: Math.max(1, Math.round(dSae / dIn)),
    normalize_decoder: true,
    num_latents: dSae,
    k,
    multi_topk: false,
    skip_connection: false,
    transcode: false,
    d_in: dIn,
  });
}
