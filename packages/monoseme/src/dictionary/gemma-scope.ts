import { MonosemeError } from '../errors.ts';
import { type ArrayFile, NpzFile, writeNpz } from '../formats/index.ts';
import type { Dictionary, Weights } from './dictionary.ts';
import {
  type Checkpoint,
  finiteFloats,
  foreignDictionary,
  hasArrays,
  matrixShape,
  transposed,
  expectPlainAutoencoder,
} from './exchange.ts';
import { withoutCentering } from './fold.ts';

/** What Gemma Scope 2 calls all of its dictionaries. */
const ARCHITECTURE = 'jump_relu';

export function isGemmaScope(checkpoint: Checkpoint): boolean {
  return (
    checkpoint.file instanceof NpzFile &&
    hasArrays(checkpoint, 'W_enc', 'W_dec', 'b_enc', 'b_dec', 'threshold')
  );
}

export function isGemmaScope2(checkpoint: Checkpoint): boolean {
  return hasArrays(checkpoint, 'w_enc', 'w_dec', 'b_enc', 'b_dec', 'threshold');
}

/**
 * Read a dictionary of Gemma Scope (Lieberum et al. 2024): `params.npz` with W_enc [dIn, dSae], W_dec [dSae, dIn],
 * b_enc, b_dec and threshold. The input is not centred. It says nothing of model and hook.
 *
 * @throws {MonosemeError} ERR_FORMAT, ERR_NOT_FINITE
 */
export async function loadGemmaScope({ file }: Checkpoint): Promise<Dictionary> {
  const weights = await readWeights(file, (name) => name);
  await file.floats('b_dec', [weights.W_enc.length / weights.b_enc.length]);
  return foreignDictionary(weights, { architecture: 'jumprelu', applyBDecToInput: false });
}

/**
 * Read a dictionary or transcoder of Gemma Scope 2: safetensors with the same arrays in lower case, affine_skip_connection
 * [dIn, dOut] where there is one, and `config.json` with the hook points. A transcoder is what has a skip connection,
 * another width of its output, or another hook point for it.
 *
 * @throws {MonosemeError} ERR_FORMAT (another architecture, transcoders over several layers), ERR_NOT_FINITE
 */
export async function loadGemmaScope2({ file, configs }: Checkpoint): Promise<Dictionary> {
  const config = configs['config.json'] ?? {};
  if ((config['architecture'] ?? ARCHITECTURE) !== ARCHITECTURE)
    throw new MonosemeError(
      'ERR_FORMAT',
      `config.json beside ${file.path}: architecture is ${JSON.stringify(config['architecture'])}.`,
      `Of Gemma Scope 2, ${ARCHITECTURE} is read.`,
    );
  const weights = await readWeights(file, (name) => name.toLowerCase());
  const [dSae, dOut] = [weights.b_enc.length, weights.b_dec.length];
  const dIn = weights.W_enc.length / dSae;
  const W_skip = file.has('affine_skip_connection')
    ? { W_skip: await finiteFloats(file, 'affine_skip_connection', [dIn, dOut]) }
    : {};
  const [hookName, target] = ['hf_hook_point_in', 'hf_hook_point_out'].map((key) =>
    String(config[key] ?? ''),
  );
  const isTranscoder = 'W_skip' in W_skip || dIn !== dOut || (target !== '' && target !== hookName);
  return foreignDictionary(
    { ...weights, ...W_skip },
    {
      architecture: 'jumprelu',
      applyBDecToInput: false,
      hookName,
      modelName: String(config['model_name'] ?? ''),
      ...(isTranscoder && { targetHookName: target }),
    },
  );
}

async function readWeights(file: ArrayFile, nameOf: (name: string) => string): Promise<Weights> {
  const [dIn, dSae] = await matrixShape(file, nameOf('W_enc'));
  const [, dOut] = await matrixShape(file, nameOf('W_dec'));
  return {
    W_enc: transposed(await finiteFloats(file, nameOf('W_enc'), [dIn, dSae]), dIn, dSae),
    b_enc: await finiteFloats(file, 'b_enc', [dSae]),
    W_dec: await finiteFloats(file, nameOf('W_dec'), [dSae, dOut]),
    b_dec: await finiteFloats(file, 'b_dec', [dOut]),
    threshold: await finiteFloats(file, 'threshold', [dSae]),
  };
}

/** @throws {MonosemeError} ERR_OPTION for what the format has no place for, and for `topk`, which is no threshold */
export function expectGemmaScope(dictionary: Dictionary): void {
  expectPlainAutoencoder(dictionary, 'Gemma Scope');
  if (dictionary.config.architecture === 'topk')
    throw new MonosemeError(
      'ERR_OPTION',
      'A topk dictionary has no thresholds, so it cannot be written as Gemma Scope.',
      'Write it as SAELens or sparsify.',
    );
}

/**
 * Write a dictionary as Gemma Scope's `params.npz`. What the format has no place for is folded: a centred input into
 * b_enc, the gate of a gated dictionary into the threshold.
 *
 * @throws {MonosemeError} as {@link expectGemmaScope}
 */
export async function saveGemmaScope(path: string, dictionary: Dictionary): Promise<void> {
  expectGemmaScope(dictionary);
  const { dIn, dSae, architecture } = dictionary.config;
  const { W_enc, b_enc, W_dec, b_dec, threshold } = withThreshold(
    withoutCentering(dictionary).weights,
    architecture,
  );
  await writeNpz(path, {
    W_enc: { shape: [dIn, dSae], data: transposed(W_enc, dSae, dIn) },
    W_dec: { shape: [dSae, dIn], data: W_dec },
    b_enc: { shape: [dSae], data: b_enc },
    b_dec: { shape: [dIn], data: b_dec },
    threshold: { shape: [dSae], data: threshold ?? new Float32Array(dSae) },
  });
}

/**
 * A gated encoder as JumpReLU: with h = exp(r) π + b_mag, the gate π + b_gate > 0 is h > b_mag − exp(r) b_gate, and
 * the magnitude ReLU(h). (Rajamanoharan et al. 2024a, section 3.)
 */
function withThreshold(weights: Weights, architecture: string): Weights {
  if (architecture !== 'gated') return weights;
  const { W_enc, b_enc, b_mag, r_mag } = weights as Required<Weights>;
  const scale = r_mag.map(Math.exp);
  const dIn = W_enc.length / b_enc.length;
  return {
    ...weights,
    W_enc: W_enc.map((value, i) => value * scale[Math.floor(i / dIn)]),
    b_enc: b_mag,
    threshold: b_mag.map((value, j) => Math.max(0, value - scale[j] * b_enc[j])),
  };
}
