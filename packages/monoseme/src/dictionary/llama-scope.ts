import { MonosemeError } from '../errors.ts';
import type { ArrayFile } from '../formats/index.ts';
import type { Dictionary, DictionaryConfig, Weights } from './dictionary.ts';
import {
  type Checkpoint,
  expectSizes,
  finiteFloats,
  flagOf,
  foreignDictionary,
  hasArrays,
  matrixShape,
  sizeOf,
  transposed,
} from './exchange.ts';
import { foldDecoderNorms, foldInputScale, rowNorms } from './fold.ts';

/*
 * Dictionaries of OpenMOSS: Llama Scope (He et al. 2024) and llamascopium (Language-Model-SAEs 2). They read activations
 * multiplied by √d / (average length), which is folded into the weights here, and do not centre.
 */

export function isLlamaScope(checkpoint: Checkpoint): boolean {
  const { configs } = checkpoint;
  const isLinear = hasArrays(checkpoint, 'encoder.weight', 'encoder.bias', 'decoder.weight', 'decoder.bias');
  return (
    isLinear && (configs['hyperparams.json'] !== undefined || checkpoint.file.has('log_jumprelu_threshold'))
  );
}

export function isLlamascopium(checkpoint: Checkpoint): boolean {
  return hasArrays(checkpoint, 'W_E', 'b_E', 'W_D') && checkpoint.configs['config.json'] !== undefined;
}

/**
 * Read a dictionary of Llama Scope: encoder.weight [dSae, dIn], decoder.weight [dIn, dSae] and their biases, with
 * `hyperparams.json` (beside it or one folder up) and one threshold for all latents, which is in the unit of the raw
 * activations; or, as for R1-Distill, with `config.json` and a tensor log_jumprelu_threshold [dSae], in the unit of the
 * scaled ones.
 *
 * @throws {MonosemeError} ERR_FORMAT (settings that cannot be honoured, tensors that do not fit), ERR_NOT_FINITE
 */
export async function loadLlamaScope({ file, configs }: Checkpoint): Promise<Dictionary> {
  const [dSae, dIn] = await matrixShape(file, 'encoder.weight');
  const weights = {
    W_enc: await finiteFloats(file, 'encoder.weight', [dSae, dIn]),
    b_enc: await finiteFloats(file, 'encoder.bias', [dSae]),
    W_dec: transposed(await finiteFloats(file, 'decoder.weight', [dIn, dSae]), dIn, dSae),
    b_dec: await finiteFloats(file, 'decoder.bias', [dIn]),
  };
  const isLogarithm = file.has('log_jumprelu_threshold');
  const config = (isLogarithm ? configs['config.json'] : configs['hyperparams.json']) ?? {};
  expectSizes(config, { d_model: dIn, d_sae: dSae }, configurationOf(file));
  const scale = await inputScale(file, config, dIn);
  const thresholds = isLogarithm
    ? (await finiteFloats(file, 'log_jumprelu_threshold', [dSae])).map(Math.exp)
    : new Float32Array(dSae).fill(numberOf(config, 'jump_relu_threshold', file.path) * scale);
  const threshold = weighsByNorm(config, file) ? unweighed(thresholds, weights.W_dec) : thresholds;
  return finish({ ...weights, threshold }, scale, { architecture: 'jumprelu', ...about(config) });
}

/** Whether pre-activations count times the length of their decoder row. */
function weighsByNorm(config: Readonly<Record<string, unknown>>, file: ArrayFile): boolean {
  return flagOf(config, 'sparsity_include_decoder_norm', true, configurationOf(file));
}

/** What the configuration is called in an error. */
function configurationOf({ path }: ArrayFile): string {
  return `The configuration of ${path}`;
}

/**
 * Read a dictionary of llamascopium: W_E [dIn, dSae], b_E, W_D [dSae, dIn], b_D (all zeros where it is missing), with
 * `config.json`, and for JumpReLU activation_function.log_jumprelu_threshold [dSae], the logarithm. Where its top-k
 * weighs latents by the length of their decoder row, rows are made of length 1 and activations grow by what they lose.
 *
 * @throws {MonosemeError} ERR_FORMAT (crosscoders and transcoders over layers, gated linear units, normalisation of each
 *   token, BatchTopK, which has no threshold of its own; tensors that do not fit), ERR_NOT_FINITE
 */
export async function loadLlamascopium({ file, configs }: Checkpoint): Promise<Dictionary> {
  const config = configs['config.json'] ?? {};
  expectRead(config, file);
  const [dIn, dSae] = await matrixShape(file, 'W_E');
  expectSizes(config, { d_model: dIn }, configurationOf(file));
  const weights = {
    W_enc: transposed(await finiteFloats(file, 'W_E', [dIn, dSae]), dIn, dSae),
    b_enc: await finiteFloats(file, 'b_E', [dSae]),
    W_dec: await finiteFloats(file, 'W_D', [dSae, dIn]),
    b_dec: flagOf(config, 'use_decoder_bias', true, configurationOf(file))
      ? await finiteFloats(file, 'b_D', [dIn])
      : new Float32Array(dIn),
  };
  const scale = await inputScale(file, config, dIn);
  const activation = String(config['act_fn'] ?? 'relu').toLowerCase();
  if (activation === 'relu') return finish(weights, scale, { architecture: 'standard', ...about(config) });
  const byNorm = weighsByNorm(config, file);
  if (activation === 'jumprelu') {
    const logarithms = await finiteFloats(file, 'activation_function.log_jumprelu_threshold', [dSae]);
    const thresholds = logarithms.map(Math.exp);
    const threshold = byNorm ? unweighed(thresholds, weights.W_dec) : thresholds;
    return finish({ ...weights, threshold }, scale, { architecture: 'jumprelu', ...about(config) });
  }
  const k = sizeOf(config, 'top_k', dSae, file.path);
  const chosen = byNorm ? foldDecoderNorms(weights) : weights;
  return finish(chosen, scale, { architecture: 'topk', k, ...about(config) });
}

/** Thresholds of pre-activations from those of pre-activations times the length of their decoder row. */
function unweighed(thresholds: Float32Array, W_dec: Float32Array): Float32Array {
  const norms = rowNorms(W_dec, thresholds.length);
  return thresholds.map((value, j) => value / Math.max(norms[j], 1e-8));
}

/** The dictionary for raw activations, from weights and thresholds for scaled ones. */
function finish(
  weights: Weights,
  scale: number,
  fields: Pick<DictionaryConfig, 'architecture'> & Partial<DictionaryConfig>,
): Dictionary {
  const folded = foldInputScale(weights, [{ width: weights.b_dec.length, scale }]);
  return foreignDictionary(folded, { ...fields, applyBDecToInput: false });
}

/** √d / E‖x‖, by which activations were multiplied in training; 1 where that is folded already. */
async function inputScale(
  file: ArrayFile,
  config: Readonly<Record<string, unknown>>,
  dIn: number,
): Promise<number> {
  const mode = config['norm_activation'] ?? 'dataset-wise';
  if (mode === 'inference') return 1;
  if (mode !== 'dataset-wise')
    throw new MonosemeError(
      'ERR_FORMAT',
      `${configurationOf(file)} says norm_activation ${JSON.stringify(mode)}.`,
      'dataset-wise and inference are read.',
    );
  const named = config['dataset_average_activation_norm'];
  const fromConfig = typeof named === 'object' && named !== null ? Object.values(named) : [];
  const names = file.names().filter((name) => name.startsWith('dataset_average_activation_norm.'));
  const norms = [...fromConfig, ...(await Promise.all(names.map((name) => file.scalar(name))))];
  const [norm] = norms;
  if (typeof norm === 'number' && norm > 0 && norms.every((other) => other === norm))
    return Math.sqrt(dIn) / norm;
  throw new MonosemeError(
    'ERR_FORMAT',
    `The average length of the activations of ${file.path} is ${norms.join(' and ') || 'missing'}.`,
    'One length above 0 is needed, the same for input and output.',
  );
}

function expectRead(config: Readonly<Record<string, unknown>>, file: ArrayFile): void {
  const fail = (what: string, advice: string) =>
    new MonosemeError('ERR_FORMAT', `${configurationOf(file)} says ${what}.`, advice);
  if ((config['sae_type'] ?? 'sae') !== 'sae')
    throw fail(`sae_type ${JSON.stringify(config['sae_type'])}`, 'Of llamascopium, sae is read.');
  if (flagOf(config, 'use_glu_encoder', false, configurationOf(file)))
    throw fail('use_glu_encoder true', 'A plain encoder is read.');
  if (config['hook_point_in'] !== config['hook_point_out'])
    throw fail('that input and output are different hook points', 'Autoencoders are read.');
  const activation = String(config['act_fn'] ?? 'relu').toLowerCase();
  if (!['relu', 'jumprelu', 'topk'].includes(activation))
    throw fail(
      `act_fn ${activation}`,
      'relu, jumprelu and topk are read; convert BatchTopK to jumprelu first.',
    );
}

function about(config: Readonly<Record<string, unknown>>): Partial<DictionaryConfig> {
  const hookName = config['hook_point_in'];
  return typeof hookName === 'string' ? { hookName } : {};
}

function numberOf(config: Readonly<Record<string, unknown>>, key: string, path: string): number {
  const value = config[key];
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new MonosemeError(
    'ERR_FORMAT',
    `The configuration of ${path}: ${key} is ${JSON.stringify(value)}.`,
    '',
  );
}
