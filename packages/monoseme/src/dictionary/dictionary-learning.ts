import { join } from 'node:path';
import { MonosemeError } from '../errors.ts';
import { type ArrayFile, type TensorToWrite, writeJson, writeSafetensors } from '../formats/index.ts';
import type { Dictionary, DictionaryConfig, Weights } from './dictionary.ts';
import {
  type Checkpoint,
  expectPlainAutoencoder,
  expectSizes,
  finiteFloats,
  foreignDictionary,
  hasArrays,
  matrixShape,
  sizeOf,
  transposed,
} from './exchange.ts';
import { withCentering, withoutCentering } from './fold.ts';

/**
 * Dictionaries of dictionary_learning (Marks, Karvonen, Mueller): `ae.pt`, or the same state dict as safetensors, and
 * `config.json`. Its linear layers are encoder.weight [dSae, dIn] and decoder.weight [dIn, dSae]; its other classes have
 * W_enc [dIn, dSae] and W_dec [dSae, dIn].
 */
type ClassName = keyof typeof CLASSES;

/** Threshold of a top-k dictionary whose training has not come to set it. */
const NEVER_SET = -1;

const CLASSES = {
  AutoEncoder: ['bias', 'encoder.weight', 'encoder.bias', 'decoder.weight'],
  AutoEncoderNew: ['encoder.weight', 'encoder.bias', 'decoder.weight', 'decoder.bias'],
  GatedAutoEncoder: ['decoder_bias', 'encoder.weight', 'r_mag', 'gate_bias', 'mag_bias', 'decoder.weight'],
  AutoEncoderTopK: ['b_dec', 'encoder.weight', 'encoder.bias', 'decoder.weight'],
  BatchTopKSAE: ['b_dec', 'encoder.weight', 'encoder.bias', 'decoder.weight'],
  MatryoshkaBatchTopKSAE: ['W_enc', 'b_enc', 'W_dec', 'b_dec', 'threshold', 'group_sizes'],
  JumpReluAutoEncoder: ['W_enc', 'b_enc', 'W_dec', 'b_dec', 'threshold'],
} as const;

export function isDictionaryLearning(checkpoint: Checkpoint): boolean {
  return (
    typeof trainerOf(checkpoint)?.['dict_class'] === 'string' ||
    hasArrays(checkpoint, ...CLASSES.GatedAutoEncoder)
  );
}

function trainerOf({ configs }: Checkpoint): Record<string, unknown> | undefined {
  const trainer = configs['config.json']?.['trainer'];
  return typeof trainer === 'object' && trainer !== null ? (trainer as Record<string, unknown>) : undefined;
}

/**
 * Read a dictionary of dictionary_learning. The class is that of `config.json`, because TopK and BatchTopK have the same
 * tensors. Decoder rows keep their length, where the package's own loader makes those of AutoEncoder 1.
 *
 * @throws {MonosemeError} ERR_FORMAT (a class that is not read, tensors, sizes or a k that do not fit it, a
 *   threshold that is not finite or never set), ERR_NOT_FINITE
 */
export async function loadDictionaryLearning(checkpoint: Checkpoint): Promise<Dictionary> {
  const { file, configs } = checkpoint;
  const trainer = trainerOf(checkpoint) ?? { dict_class: 'GatedAutoEncoder' };
  const name = trainer['dict_class'] as string;
  if (!Object.hasOwn(CLASSES, name))
    throw new MonosemeError(
      'ERR_FORMAT',
      `config.json beside ${file.path}: dict_class is ${JSON.stringify(name)}.`,
      `This version reads ${Object.keys(CLASSES).join(', ')}.`,
    );
  const buffer = (configs['config.json']?.['buffer'] ?? {}) as Record<string, unknown>;
  const about = {
    modelName: String(trainer['lm_name'] ?? ''),
    hookName: hookOf(trainer),
    contextSize: typeof buffer['ctx_len'] === 'number' ? buffer['ctx_len'] : undefined,
  };
  const weights = await readers[name as ClassName](file);
  const dSae = weights.b_enc.length;
  const path = `config.json beside ${file.path}`;
  expectSizes(trainer, { activation_dim: weights.b_dec.length, dict_size: dSae }, path);
  const k = name === 'AutoEncoderTopK' ? sizeOf(trainer, 'k', dSae, path) : undefined;
  if (k !== undefined && file.has('k')) expectSizes(trainer, { k: await file.scalar('k') }, path);
  return foreignDictionary(weights, {
    ...about,
    ...(k !== undefined && { k }),
    architecture: KINDS[name as ClassName],
    applyBDecToInput: name !== 'AutoEncoderNew' && name !== 'JumpReluAutoEncoder',
  });
}

const KINDS = {
  AutoEncoder: 'standard',
  AutoEncoderNew: 'standard',
  GatedAutoEncoder: 'gated',
  AutoEncoderTopK: 'topk',
  BatchTopKSAE: 'jumprelu',
  MatryoshkaBatchTopKSAE: 'jumprelu',
  JumpReluAutoEncoder: 'jumprelu',
} as const;

const readers: Record<ClassName, (file: ArrayFile) => Promise<Weights>> = {
  AutoEncoder: (file) => linear(file, 'encoder.bias', 'bias'),
  AutoEncoderNew: (file) => linear(file, 'encoder.bias', 'decoder.bias'),
  GatedAutoEncoder: async (file) => {
    const weights = await linear(file, 'gate_bias', 'decoder_bias');
    const dSae = weights.b_enc.length;
    return {
      ...weights,
      b_mag: await finiteFloats(file, 'mag_bias', [dSae]),
      r_mag: await finiteFloats(file, 'r_mag', [dSae]),
    };
  },
  AutoEncoderTopK: (file) => linear(file, 'encoder.bias', 'b_dec'),
  BatchTopKSAE: async (file) => withOneThreshold(await linear(file, 'encoder.bias', 'b_dec'), file),
  MatryoshkaBatchTopKSAE: async (file) => withOneThreshold(await parameters(file), file),
  JumpReluAutoEncoder: async (file) => {
    const weights = await parameters(file);
    return { ...weights, threshold: await finiteFloats(file, 'threshold', [weights.b_enc.length]) };
  },
};

async function linear(file: ArrayFile, bias: string, decoderBias: string): Promise<Weights> {
  const [dSae, dIn] = await matrixShape(file, 'encoder.weight');
  return {
    W_enc: await finiteFloats(file, 'encoder.weight', [dSae, dIn]),
    b_enc: await finiteFloats(file, bias, [dSae]),
    W_dec: transposed(await finiteFloats(file, 'decoder.weight', [dIn, dSae]), dIn, dSae),
    b_dec: await finiteFloats(file, decoderBias, [dIn]),
  };
}

async function parameters(file: ArrayFile): Promise<Weights> {
  const [dIn, dSae] = await matrixShape(file, 'W_enc');
  return {
    W_enc: transposed(await finiteFloats(file, 'W_enc', [dIn, dSae]), dIn, dSae),
    b_enc: await finiteFloats(file, 'b_enc', [dSae]),
    W_dec: await finiteFloats(file, 'W_dec', [dSae, dIn]),
    b_dec: await finiteFloats(file, 'b_dec', [dIn]),
  };
}

/** BatchTopK at inference: what is above the one threshold. −1 means that training never came to set it. */
async function withOneThreshold(weights: Weights, file: ArrayFile): Promise<Weights> {
  if (!file.has('threshold'))
    throw new MonosemeError(
      'ERR_FORMAT',
      `${file.path} is BatchTopK and has no threshold, as the package wrote it before it learned one.`,
      'Without it the codes of a row depend on the rest of its batch; train it again, or set a threshold.',
    );
  const threshold = await file.scalar('threshold');
  if (!Number.isFinite(threshold) || threshold < 0)
    throw new MonosemeError(
      'ERR_FORMAT',
      `"threshold" of ${file.path} is ${threshold}${threshold === NEVER_SET ? ', which means that it was never set' : ''}.`,
      'Train it past the step at which the threshold is learned.',
    );
  return { ...weights, threshold: new Float32Array(weights.b_enc.length).fill(threshold) };
}

function hookOf(trainer: Record<string, unknown>): string {
  const { submodule_name: submodule, layer } = trainer;
  if (typeof submodule !== 'string') return '';
  return /^resid_post/.test(submodule) && typeof layer === 'number'
    ? `blocks.${layer}.hook_resid_post`
    : submodule;
}

/** @throws {MonosemeError} ERR_OPTION for what the package has no class for */
export function expectDictionaryLearning(dictionary: Dictionary): void {
  expectPlainAutoencoder(dictionary, 'dictionary_learning');
}

/**
 * Write a dictionary for dictionary_learning: `config.json` and `ae.safetensors`, which holds the state dict of the class
 * that `dict_class` names. There, `cls(…).load_state_dict(load_file("ae.safetensors"))` gives the dictionary. Centring
 * that a class has or lacks is folded into b_enc.
 *
 * @throws {MonosemeError} as {@link expectDictionaryLearning}
 */
export async function saveDictionaryLearning(folder: string, dictionary: Dictionary): Promise<void> {
  expectDictionaryLearning(dictionary);
  const name = classFor(dictionary);
  const isCentered = name !== 'AutoEncoderNew' && name !== 'JumpReluAutoEncoder';
  const { config, weights } = isCentered ? withCentering(dictionary) : withoutCentering(dictionary);
  const { dIn, dSae, k } = config;
  await writeSafetensors(join(folder, 'ae.safetensors'), stateDict(name, config, weights));
  await writeJson(join(folder, 'config.json'), {
    trainer: {
      dict_class: name,
      activation_dim: dIn,
      dict_size: dSae,
      ...(k !== undefined && { k }),
      lm_name: config.modelName,
      submodule_name: config.hookName,
    },
    buffer: { d_submodule: dIn, ctx_len: config.contextSize ?? null },
  });
}

function classFor({ config }: Dictionary): ClassName {
  if (config.architecture === 'standard') return config.applyBDecToInput ? 'AutoEncoder' : 'AutoEncoderNew';
  if (config.architecture === 'gated') return 'GatedAutoEncoder';
  return config.architecture === 'topk' ? 'AutoEncoderTopK' : 'JumpReluAutoEncoder';
}

function stateDict(
  name: ClassName,
  { dIn, dSae, k = 0 }: DictionaryConfig,
  weights: Weights,
): Record<string, TensorToWrite> {
  const { W_enc, W_dec, b_enc, b_dec } = weights;
  const vectors = (named: Record<string, Float32Array | undefined>) =>
    Object.fromEntries(
      Object.entries(named).map(([key, data = new Float32Array()]): [string, TensorToWrite] => [
        key,
        { dtype: 'F32', shape: [data.length], data },
      ]),
    );
  if (name === 'JumpReluAutoEncoder')
    return {
      W_enc: { dtype: 'F32', shape: [dIn, dSae], data: transposed(W_enc, dSae, dIn) },
      W_dec: { dtype: 'F32', shape: [dSae, dIn], data: W_dec },
      ...vectors({ b_enc, b_dec, threshold: weights.threshold }),
    };
  const linear: Record<string, TensorToWrite> = {
    'encoder.weight': { dtype: 'F32', shape: [dSae, dIn], data: W_enc },
    'decoder.weight': { dtype: 'F32', shape: [dIn, dSae], data: transposed(W_dec, dSae, dIn) },
  };
  if (name === 'AutoEncoder') return { ...linear, ...vectors({ 'encoder.bias': b_enc, bias: b_dec }) };
  if (name === 'AutoEncoderNew')
    return { ...linear, ...vectors({ 'encoder.bias': b_enc, 'decoder.bias': b_dec }) };
  if (name === 'GatedAutoEncoder') {
    const { b_mag, r_mag } = weights;
    return { ...linear, ...vectors({ gate_bias: b_enc, mag_bias: b_mag, r_mag, decoder_bias: b_dec }) };
  }
  return {
    ...linear,
    ...vectors({ 'encoder.bias': b_enc, b_dec }),
    k: { dtype: 'I32', shape: [], data: Int32Array.of(k) },
    threshold: { dtype: 'F32', shape: [], data: Float32Array.of(NEVER_SET) },
  };
}
