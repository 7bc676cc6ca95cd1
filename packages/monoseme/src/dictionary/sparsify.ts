import { join } from 'node:path';
import { MonosemeError } from '../errors.ts';
import { SafetensorsFile, writeJson, writeSafetensors } from '../formats/index.ts';
import { type Dictionary, outputWidth } from './dictionary.ts';
import {
  type Checkpoint,
  expectSizes,
  finiteFloats,
  flagOf,
  foreignDictionary,
  hasArrays,
  matrixShape,
  normalizing,
  sizeOf,
  transposed,
} from './exchange.ts';
import { withCentering } from './fold.ts';

export function isSparsify(checkpoint: Checkpoint): boolean {
  const isOurs = hasArrays(checkpoint, 'encoder.weight', 'encoder.bias', 'b_dec');
  return isOurs && checkpoint.file instanceof SafetensorsFile;
}

/**
 * Read a dictionary or transcoder of sparsify (EleutherAI): `sae.safetensors` with encoder.weight [dSae, dIn],
 * encoder.bias, W_dec [dSae, dIn] (in old files decoder.weight of a linear layer, [dIn, dSae]), b_dec and perhaps W_skip [dIn, dIn], and `cfg.json`
 * beside it. TopK; the input is centred unless it is a transcoder's.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FORMAT (also for groupmax), ERR_NOT_FINITE
 */
export async function loadSparsify({ file, configs }: Checkpoint): Promise<Dictionary> {
  const config = configs['cfg.json'];
  if (!config)
    throw new MonosemeError('ERR_NOT_FOUND', `${file.path} has no cfg.json beside it.`, 'k stands there.');
  const refuse = (what: string) =>
    new MonosemeError(
      'ERR_FORMAT',
      `cfg.json beside ${file.path}: ${what}.`,
      'TopK of positive latents is read.',
    );
  if ((config['activation'] ?? 'topk') !== 'topk')
    throw refuse(`activation is ${JSON.stringify(config['activation'])}`);
  const path = `cfg.json beside ${file.path}`;
  if (flagOf(config, 'signed', false, path)) throw refuse('signed is true');
  const [dSae, dIn] = await matrixShape(file, 'encoder.weight');
  // 0 latents stand for d_in · expansion_factor.
  expectSizes(config, { d_in: dIn, ...(config['num_latents'] !== 0 && { num_latents: dSae }) }, path);
  const isTranscoder = flagOf(config, 'transcode', false, path);
  const weights = {
    W_enc: await finiteFloats(file, 'encoder.weight', [dSae, dIn]),
    b_enc: await finiteFloats(file, 'encoder.bias', [dSae]),
    W_dec: file.has('W_dec')
      ? await finiteFloats(file, 'W_dec', [dSae, dIn])
      : transposed(await finiteFloats(file, 'decoder.weight', [dIn, dSae]), dIn, dSae),
    b_dec: await finiteFloats(file, 'b_dec', [dIn]),
    ...(flagOf(config, 'skip_connection', false, path) && {
      W_skip: transposed(await finiteFloats(file, 'W_skip', [dIn, dIn]), dIn, dIn),
    }),
  };
  return foreignDictionary(weights, {
    architecture: 'topk',
    k: sizeOf(config, 'k', dSae, path),
    applyBDecToInput: !isTranscoder,
    ...(isTranscoder && { targetHookName: '' }),
  });
}

/**
 * @throws {MonosemeError} ERR_OPTION for anything but `topk`, for a transcoder between different widths, a crosscoder or
 *   one that normalises rows: sparsify has none of these
 */
export function expectSparsify(dictionary: Dictionary): void {
  const { architecture, dIn, sources, normalization } = dictionary.config;
  const other = sources ? 'a crosscoder' : normalizing(normalization);
  const problem = architecture === 'topk' ? other : architecture;
  if (problem !== undefined || outputWidth(dictionary) !== dIn)
    throw new MonosemeError(
      'ERR_OPTION',
      `sparsify has only TopK from one width to the same; this is ${problem ?? `from ${dIn} to ${outputWidth(dictionary)}`}.`,
      'Write it as SAELens.',
    );
}

/**
 * Write a dictionary in the layout of sparsify. A centre that its kind of input does not have is folded into the bias.
 *
 * @throws {MonosemeError} as {@link expectSparsify}
 */
export async function saveSparsify(folder: string, dictionary: Dictionary): Promise<void> {
  expectSparsify(dictionary);
  const { dIn, dSae, k, targetHookName } = dictionary.config;
  const isTranscoder = targetHookName !== undefined;
  const { weights } = isTranscoder ? dictionary : withCentering(dictionary);
  const { W_skip } = weights;
  await writeSafetensors(join(folder, 'sae.safetensors'), {
    'encoder.weight': { dtype: 'F32', shape: [dSae, dIn], data: weights.W_enc },
    'encoder.bias': { dtype: 'F32', shape: [dSae], data: weights.b_enc },
    W_dec: { dtype: 'F32', shape: [dSae, dIn], data: weights.W_dec },
    b_dec: { dtype: 'F32', shape: [dIn], data: weights.b_dec },
    ...(W_skip && { W_skip: { dtype: 'F32', shape: [dIn, dIn], data: transposed(W_skip, dIn, dIn) } }),
  });
  await writeJson(join(folder, 'cfg.json'), {
    activation: 'topk',
    expansion_factor: Math.max(1, Math.round(dSae / dIn)),
    normalize_decoder: true,
    num_latents: dSae,
    k,
    multi_topk: false,
    skip_connection: W_skip !== undefined,
    transcode: isTranscoder,
    d_in: dIn,
  });
}
