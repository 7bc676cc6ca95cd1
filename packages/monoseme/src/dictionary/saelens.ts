import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MonosemeError } from '../errors.ts';
import {
  readJson,
  readSafetensors,
  type SafetensorsFile,
  snakeCaseKeys,
  writeJson,
  writeSafetensors,
} from '../formats/index.ts';
import type { CrosscoderSource, Dictionary, DictionaryConfig, EncoderKind, Weights } from './dictionary.ts';
import { outputWidth } from './dictionary.ts';
import {
  finiteFloats,
  flagOf,
  jsonRecord,
  MAX_CONFIG_BYTES,
  MAX_D_IN,
  MAX_D_SAE,
  sizeOf,
  transposed,
} from './exchange.ts';
import { foldDecoderNorms, foldInputScale } from './fold.ts';
import type { Pursuit } from './matching-pursuit.ts';
import type { RowNormalization } from './row-normalization.ts';

/**
 * Write a dictionary in the layout of SAELens: `cfg.json` and `sae_weights.safetensors`
 * (W_enc [dIn, dSae], W_dec [dSae, dIn], F32). SAELens loads it without conversion.
 *
 * Matching pursuit has W_dec and b_dec alone. Beside W_enc, W_dec and b_dec: `standard` and `topk` have b_enc, `jumprelu` b_enc and threshold (the value, not its
 * logarithm), `gated` b_gate, b_mag and r_mag. Transcoders have W_dec [dSae, dOut] and, with a skip connection, W_skip
 * [dOut, dIn]. Crosscoders and transcoders of kinds that SAELens does not have are called by names that it refuses.
 */
export async function saveDictionary(folder: string, dictionary: Dictionary): Promise<void> {
  const { config, weights } = dictionary;
  const { architecture, dIn, dSae } = config;
  const dOut = outputWidth(dictionary);
  const vector = (data: Float32Array) => ({ dtype: 'F32' as const, shape: [data.length], data });
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, 'sae_weights.safetensors'), {
    W_dec: { dtype: 'F32', shape: [dSae, dOut], data: weights.W_dec },
    b_dec: vector(weights.b_dec),
    ...(weights.W_skip && {
      W_skip: { dtype: 'F32', shape: [dOut, dIn], data: transposed(weights.W_skip, dIn, dOut) },
    }),
    ...(architecture !== 'matching_pursuit' && {
      W_enc: { dtype: 'F32', shape: [dIn, dSae], data: transposed(weights.W_enc, dSae, dIn) },
      [architecture === 'gated' ? 'b_gate' : 'b_enc']: vector(weights.b_enc),
    }),
    ...Object.fromEntries(
      FURTHER_TENSORS[architecture].map((name) => [name, vector(weights[name] as Float32Array)]),
    ),
  });
  await writeJson(join(folder, 'cfg.json'), {
    architecture: nameOnDisk(dictionary),
    ...(architecture === 'topk' && { k: config.k, rescale_acts_by_decoder_norm: false }),
    ...(config.pursuit && snakeCaseKeys({ ...config.pursuit })),
    d_in: dIn,
    d_sae: dSae,
    ...(config.targetHookName !== undefined && { d_out: dOut }),
    ...(config.sources && { sources: config.sources.map(sourceJson) }),
    dtype: 'float32',
    device: 'cpu',
    apply_b_dec_to_input: config.applyBDecToInput,
    normalize_activations: config.normalization ?? 'none',
    reshape_activations: 'none',
    metadata: {
      ...config.metadata,
      sae_lens_version: '6.18.0',
      model_name: config.modelName,
      hook_name: config.hookName,
      ...(config.targetHookName !== undefined && { hook_name_out: config.targetHookName }),
      context_size: config.contextSize ?? null,
    },
  });
}

/** `jumprelu_skip_transcoder`, `standard_crosscoder`; SAELens calls a standard transcoder just `transcoder`. */
function nameOnDisk({ config, weights }: Dictionary): string {
  const { architecture, targetHookName, sources } = config;
  if (sources) return `${architecture}_crosscoder`;
  if (targetHookName === undefined) return architecture;
  const base = weights.W_skip ? 'skip_transcoder' : 'transcoder';
  return architecture === 'standard' ? base : `${architecture}_${base}`;
}

/** The vectors [dSae] of each kind beside b_enc. */
const FURTHER_TENSORS = {
  standard: [],
  topk: [],
  jumprelu: ['threshold'],
  gated: ['b_mag', 'r_mag'],
  matching_pursuit: [],
} as const satisfies Record<EncoderKind, readonly (keyof Weights)[]>;

/** Why those of SAELens that are not read are not. */
const NO_ENCODER: Readonly<Record<string, string>> = {
  abstopk: 'Its activations are negative too, which no kernel here has a place for; SAELens reads it.',
  temporal:
    'It predicts from the tokens before by attention, so no row can be encoded alone; SAELens reads it.',
};

/** What SAELens calls it → how it encodes. Training saves of the BatchTopK family hold one threshold for all. */
const KINDS: Readonly<Record<string, EncoderKind>> = {
  standard: 'standard',
  topk: 'topk',
  jumprelu: 'jumprelu',
  gated: 'gated',
  batchtopk: 'jumprelu',
  matryoshka_batchtopk: 'jumprelu',
  matching_pursuit: 'matching_pursuit',
};

/**
 * Read a dictionary in the layout of SAELens, `cfg.json` beside the weights: that of version 6, and the flat one of
 * those before.
 *
 * Folded on reading, so that what is in memory needs no further rule: decoder norms where
 * `rescale_acts_by_decoder_norm` is on, `finetuning_scaling_factor`, and with `expected_average_only_in` the factor on
 * inputs of `activation_scaler.json`. `hook_z`, by which heads lie side by side, is how rows are anyway.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FORMAT (a setting this version cannot honour, tensors that do not fit
 *   the configuration), ERR_NOT_FINITE (naming the tensor and the file)
 */
export async function loadSaeLens(path: string): Promise<Dictionary> {
  const configPath = join(dirname(path), 'cfg.json');
  const json = await readJson(configPath, MAX_CONFIG_BYTES);
  const { config, dOut, hasSkip, rescale, isScaled } = parseConfig(json, configPath);
  const scale = isScaled ? await inputScale(dirname(path)) : 1;
  const file = await readSafetensors(path);
  try {
    const weights = await readWeights(file, config, dOut, hasSkip);
    const folded = rescale ? foldDecoderNorms(weights) : weights;
    const isJumpRelu = config.architecture === 'jumprelu';
    const whole = isJumpRelu ? { ...folded, threshold: await readThreshold(file, config.dSae) } : folded;
    if (!isScaled) return { config, weights: whole };
    const outputs = [{ width: dOut, scale }];
    return {
      config: { ...config, ...(config.pursuit && { pursuit: unscaled(config.pursuit, scale) }) },
      weights: foldInputScale(whole, [{ width: config.dIn, scale }], outputs),
    };
  } finally {
    await file.close();
  }
}

/** The same end of a pursuit for inputs that are not scaled: residuals are shorter by the factor. */
function unscaled(pursuit: Pursuit, scale: number): Pursuit {
  return { ...pursuit, residualThreshold: pursuit.residualThreshold / scale };
}

/** The factor on activations of a training's folder. @throws {MonosemeError} ERR_FORMAT when there is none */
async function inputScale(folder: string): Promise<number> {
  const path = join(folder, 'activation_scaler.json');
  const factor = existsSync(path)
    ? jsonRecord(await readJson(path, MAX_CONFIG_BYTES), path)['scaling_factor']
    : 'missing';
  if (typeof factor === 'number' && factor > 0 && Number.isFinite(factor)) return factor;
  throw new MonosemeError(
    'ERR_FORMAT',
    `${folder}: normalize_activations is expected_average_only_in, and the factor of activation_scaler.json is ${String(factor)}.`,
    'Fold the factor with SAELens (fold_activation_norm_scaling_factor) and save it again.',
  );
}

async function readWeights(
  file: SafetensorsFile,
  config: DictionaryConfig,
  dOut: number,
  hasSkip: boolean,
): Promise<Weights> {
  const { architecture, dIn, dSae } = config;
  const vector = (name: string) => finiteFloats(file, name, [dSae]);
  const W_dec = await finiteFloats(file, 'W_dec', [dSae, dOut]);
  if (architecture === 'matching_pursuit') {
    const b_dec = await finiteFloats(file, 'b_dec', [dOut]);
    const weights = { W_enc: W_dec, b_enc: new Float32Array(dSae), W_dec, b_dec };
    // What is not subtracted from the input is not added to the reconstruction either.
    return config.applyBDecToInput ? weights : { ...weights, b_dec: new Float32Array(dOut) };
  }
  if (file.has('scaling_factor')) scaleRows_(W_dec, await vector('scaling_factor'));
  return {
    W_enc: transposed(await finiteFloats(file, 'W_enc', [dIn, dSae]), dIn, dSae),
    b_enc: await vector(architecture === 'gated' ? 'b_gate' : 'b_enc'),
    W_dec,
    b_dec: await finiteFloats(file, 'b_dec', [dOut]),
    ...(hasSkip && { W_skip: transposed(await finiteFloats(file, 'W_skip', [dOut, dIn]), dOut, dIn) }),
    ...(architecture === 'gated' && { b_mag: await vector('b_mag'), r_mag: await vector('r_mag') }),
  };
}

/**
 * Thresholds, which SAELens compares with pre-activations after their rescaling: no decoder norm touches them here.
 * Below 0 a threshold is as 0, because activations are ReLU(h) · 1[h > θ].
 */
async function readThreshold(file: SafetensorsFile, dSae: number): Promise<Float32Array> {
  const threshold = file.has('topk_threshold')
    ? new Float32Array(dSae).fill((await finiteFloats(file, 'topk_threshold', []))[0])
    : await finiteFloats(file, 'threshold', [dSae]);
  return threshold.map((value) => Math.max(value, 0));
}

/** A factor on activations before decoding is one on the decoder's rows. */
function scaleRows_(W_dec: Float32Array, factors: Float32Array): void {
  const width = W_dec.length / factors.length;
  for (let i = 0; i < W_dec.length; i++) W_dec[i] *= factors[Math.floor(i / width)];
}

/** Those of every row by itself. */
const OF_ROWS: readonly RowNormalization[] = ['layer_norm', 'constant_norm_rescale'];

/** Names of one factor on all inputs, by which they are √dIn long on average; true before version 4. */
const SCALED: readonly unknown[] = ['expected_average_only_in', true];

/** Why those of SAELens that are not read are not. */
const UNREAD_NORMALIZATIONS: Readonly<Record<string, string>> = {
  covariance_whitening:
    'SAELens folds it into the weights at the end of training (fold_activation_whitening): save the dictionary after that.',
  constant_scalar_rescale: 'Only the temporal architecture of SAELens has it, which is not read.',
};

interface ParsedConfig {
  readonly config: DictionaryConfig;
  readonly dOut: number;
  readonly hasSkip: boolean;
  /** Whether pre-activations count times the length of their decoder row. */
  readonly rescale: boolean;
  /** Whether inputs are multiplied by one factor. */
  readonly isScaled: boolean;
}

function parseConfig(json: unknown, path: string): ParsedConfig {
  const record = jsonRecord(json, path);
  const fail = (what: string, advice: string) => new MonosemeError('ERR_FORMAT', `${path}: ${what}.`, advice);
  const expectValue = (key: string, allowed: unknown[]): void => {
    if (allowed.includes(record[key])) return;
    const list = allowed
      .filter((value) => value !== null && value !== undefined)
      .map((value) => JSON.stringify(value));
    throw fail(`${key} is ${JSON.stringify(record[key])}`, `This version reads ${list.join(' or ')}.`);
  };
  const metadata = isGiven(record['metadata'])
    ? jsonRecord(record['metadata'], `${path}: metadata`)
    : flatMetadata(record);
  const name = record['architecture'] ?? 'standard';
  if (typeof name !== 'string')
    throw fail(`architecture is ${JSON.stringify(name)}`, 'It should be the name of one.');
  const [, base, form = ''] = /^(.*?)_?(transcoder|skip_transcoder|crosscoder)?$/s.exec(
    name,
  ) as RegExpExecArray;
  const kind = base === '' ? 'standard' : base;
  if (!Object.hasOwn(KINDS, kind))
    throw fail(
      `architecture is "${name}"`,
      Object.hasOwn(NO_ENCODER, name)
        ? NO_ENCODER[name]
        : `This version reads ${Object.keys(KINDS).join(', ')}.`,
    );
  const isTranscoder = form.endsWith('transcoder');
  const applyBDecToInput = flagOf(record, 'apply_b_dec_to_input', true, path);
  if (isTranscoder && applyBDecToInput)
    throw fail(
      `architecture is "${name}", but apply_b_dec_to_input is not false`,
      'The decoder bias of a transcoder is that of its target, which its input has no part in.',
    );
  const normalize = record['normalize_activations'];
  if (Object.hasOwn(UNREAD_NORMALIZATIONS, String(normalize)))
    throw fail(`normalize_activations is "${String(normalize)}"`, UNREAD_NORMALIZATIONS[String(normalize)]);
  const normalization = OF_ROWS.find((kind) => kind === normalize);
  if (isTranscoder && normalization)
    throw fail(
      `architecture is "${name}", but normalize_activations is "${normalization}"`,
      'What a row of the input is divided by says nothing about its target.',
    );
  expectValue('normalize_activations', ['none', ...OF_ROWS, ...SCALED, undefined, null, false]);
  expectValue('reshape_activations', ['none', 'hook_z', undefined, null]);
  // Files from before version 6 call TopK a standard one with another activation function.
  const activation = record['activation_fn_str'] ?? record['activation_fn'] ?? 'relu';
  const isOldTopK = kind === 'standard' && activation === 'topk';
  if (!isOldTopK && kind === 'standard' && activation !== 'relu')
    throw fail(`activation_fn is ${JSON.stringify(activation)}`, 'This version reads relu or topk.');
  const architecture = isOldTopK ? 'topk' : KINDS[kind];
  const isPursuit = architecture === 'matching_pursuit';
  if (isPursuit && form !== '')
    throw fail(`architecture is "${name}"`, 'A pursuit explains what it reads by its own directions.');
  const oldArguments = (record['activation_fn_kwargs'] ?? {}) as Record<string, unknown>;
  const dIn = sizeOf(record, 'd_in', MAX_D_IN, path);
  const dSae =
    record['d_sae'] === undefined && typeof record['expansion_factor'] === 'number'
      ? sizeOf({ d_sae: record['expansion_factor'] * dIn }, 'd_sae', MAX_D_SAE, path)
      : sizeOf(record, 'd_sae', MAX_D_SAE, path);
  const contextSize = metadata['context_size'];
  return {
    config: {
      architecture,
      ...(architecture === 'topk' && { k: sizeOf({ k: record['k'] ?? oldArguments['k'] }, 'k', dSae, path) }),
      ...(isPursuit && { pursuit: parsePursuit(record, dIn, path) }),
      dIn,
      dSae,
      hookName: String(metadata['hook_name'] ?? ''),
      modelName: String(metadata['model_name'] ?? ''),
      ...(isTranscoder && { targetHookName: String(metadata['hook_name_out'] ?? '') }),
      ...(form === 'crosscoder' && { sources: parseSources(record['sources'], dIn, path) }),
      ...(normalization && { normalization }),
      contextSize: typeof contextSize === 'number' ? contextSize : undefined,
      applyBDecToInput,
      metadata,
    },
    dOut: isTranscoder ? sizeOf(record, 'd_out', MAX_D_IN, path) : dIn,
    hasSkip: form === 'skip_transcoder',
    rescale: flagOf(record, 'rescale_acts_by_decoder_norm', false, path),
    isScaled: SCALED.includes(normalize),
  };
}

/** @throws {MonosemeError} ERR_FORMAT */
function parsePursuit(record: Record<string, unknown>, dIn: number, path: string): Pursuit {
  const { residual_threshold: threshold = 1e-2 } = record;
  if (!(typeof threshold === 'number' && threshold >= 0 && Number.isFinite(threshold)))
    throw new MonosemeError(
      'ERR_FORMAT',
      `${path}: residual_threshold is ${JSON.stringify(threshold)}.`,
      'It is a length of at least 0.',
    );
  return {
    residualThreshold: threshold,
    maxIterations: sizeOf(
      { max_iterations: record['max_iterations'] ?? dIn },
      'max_iterations',
      MAX_D_SAE,
      path,
    ),
    stopOnDuplicateSupport: flagOf(record, 'stop_on_duplicate_support', true, path),
  };
}

function sourceJson({ modelHash, ...source }: CrosscoderSource): Record<string, unknown> {
  return { ...snakeCaseKeys(source), ...(modelHash !== undefined && { model_sha256: modelHash }) };
}

/** The hook points of a crosscoder. @throws {MonosemeError} ERR_FORMAT when their widths are not those of a row */
function parseSources(json: unknown, dIn: number, path: string): CrosscoderSource[] {
  const sources = (Array.isArray(json) ? json : []).map((entry: unknown) => {
    const record = jsonRecord(entry, path);
    return {
      hookName: String(record['hook_name'] ?? ''),
      modelName: String(record['model_name'] ?? ''),
      width: sizeOf(record, 'width', dIn, path),
      scale: Number(record['scale']),
      ...(typeof record['model_sha256'] === 'string' && { modelHash: record['model_sha256'] }),
    };
  });
  const total = sources.reduce((sum, { width }) => sum + width, 0);
  if (total === dIn && sources.every(({ scale }) => scale > 0 && Number.isFinite(scale))) return sources;
  throw new MonosemeError(
    'ERR_FORMAT',
    `${path}: sources are ${sources.map(({ width, scale }) => `${width} wide (scale ${scale})`).join(', ')}.`,
    `Their widths should add up to d_in, ${dIn}, and their scales be above 0.`,
  );
}

/** What files from before version 6 hold at the top level, by the names that it has in the metadata since. */
function flatMetadata(record: Record<string, unknown>): Record<string, unknown> {
  const named = {
    hook_name: record['hook_point'],
    hook_head_index: record['hook_point_head_index'],
    ...record,
  };
  return Object.fromEntries(
    Object.entries(named).filter(([key, value]) => FLAT_KEYS.has(key) && isGiven(value)),
  );
}

const FLAT_KEYS = new Set([
  ...['model_name', 'model_class_name', 'model_from_pretrained_kwargs', 'context_size', 'seqpos_slice'],
  ...[
    'hook_name',
    'hook_head_index',
    'hook_name_out',
    'hook_head_index_out',
    'hf_hook_name',
    'hf_hook_name_out',
  ],
  ...['dataset_path', 'prepend_bos', 'exclude_special_tokens', 'neuronpedia_id', 'sae_lens_training_version'],
]);

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}
