import { mkdir, rm } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import type { ActivationSource } from '../activations/index.ts';
import { tokenPieces, type TokenText } from '../corpus/index.ts';
import type { Dictionary } from '../dictionary/index.ts';
import { fileError, MonosemeError, throwIfAborted } from '../errors.ts';
import { sha256, TOOLKIT_VERSION, writeManifest } from '../formats/index.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import type { ModelRunner } from '../model/index.ts';
import { logEdges } from './activation-histogram.ts';
import type { CoActivation } from './co-activation.ts';
import { writeCorpus, type WrittenCorpus } from './corpus-files.ts';
import { type BuilderOptions, DEFAULT_EXAMPLES, FeatureIndexBuilder } from './feature-index-builder.ts';
import { type GatheredLatents, gatherLatents } from './gather-latents.ts';
import { type CheckpointPlace, removeCheckpoints } from './index-checkpoint.ts';
import { LOGIT_BINS, logitEffects } from './logit-effects.ts';
import { type MeasuredEffects, measureEffects } from './measure-effects.ts';
import {
  INDEX_VERSION,
  type IndexDetails,
  type IndexFile,
  LATENTS_PER_PART,
  LATENTS_PER_ROW_GROUP,
  LINEAR_BINS,
} from './schema.ts';
import { writeTokenLatents } from './token-latents.ts';
import { type TokenTexts, tokenCounts, writeVocabulary } from './vocabulary.ts';
import { writeEffects } from './write-effects.ts';
import { writeLatentTables } from './write-latents.ts';

/** Logits in each of a latent's two lists. */
const TOP_LOGITS = 10;

export interface BuildFeatureIndexInput {
  /** Folder of the index. An index that is there is replaced. */
  readonly out: string;
  readonly dictionary: Dictionary;
  readonly backend: KernelBackend;
  /** Activations of the tokens of `tokenSet`, in their order (`modelSource(runner, tokenSet)`, or a store). */
  readonly source: ActivationSource;
  readonly tokenSet: TokenText;
  readonly tokenizer: TokenTexts;
  /** [dIn, vocabSize], from `averageLogitJacobian`. Without it the index has no logits. */
  readonly jacobian?: Float32Array;
  /** Figures of the evaluation report, by their names on disk: shown at the head of the page. */
  readonly evaluation?: Readonly<Record<string, number>>;
  /** Hashes of what the index is made from, for its manifest; tokens and activations are added. */
  readonly madeFrom?: Readonly<Record<string, string>>;
  /**
   * A model of which effects are measured, cut at the hook (`suffix: true`), and how many tokens may go through its
   * second half for that: each latent gets an equal share. Without it the index has no effects.
   */
  readonly ablations?: { readonly runner: ModelRunner; readonly tokens: number };
  readonly seed?: number;
  readonly examples?: Partial<Omit<BuilderOptions, 'dSae' | 'dIn' | 'contextSize' | 'seed'>>;
  /** Seconds of work that a killed build may lose, about; 30 by default. */
  readonly checkpointSeconds?: number;
  readonly signal?: AbortSignal;
  /** In tokens of the whole work: text to encode, then ablations, then the last twentieth while tables are written. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface BuiltIndex {
  readonly folder: string;
  readonly nTokens: number;
  /** Latents that fired at least once. */
  readonly nAlive: number;
  /** Of all files together, and of all but the corpus and the vocabulary. */
  readonly bytes: number;
  readonly bytesPerLatent: number;
}

/**
 * Build a feature index in one pass over the activations of a text. docs/feature-index.md describes the files.
 *
 * The manifest is written last: a folder without one is no index. A build that was stopped or killed goes on from its last
 * checkpoint, in `unfinished/` of the folder, when it is called again with the same input, and gives the same bytes. The same inputs and seed give the same bytes.
 *
 * Memory  about 20 KB a latent and as much as its weights, 128 MiB for what fires where, 32 MiB to look for near misses
 *         and what fires beside what; beyond a text of four million tokens it grows no more when `tokenSet` is in a file
 * @throws {MonosemeError} ERR_MISMATCH when source, tokens and dictionary do not belong together; ERR_MEMORY (before
 * any work), ERR_OPTION, ERR_NOT_FINITE, ERR_DISK_FULL, ERR_FILE, ERR_INTERRUPTED
 */
export async function buildFeatureIndex(input: BuildFeatureIndexInput): Promise<BuiltIndex> {
  checkInput(input);
  const total = totalWork(input);
  const report = (tokens: number) => input.onProgress?.(tokens, total);
  const options = builderOptions(input);
  const checkpoints = checkpointsOf(input, options);
  const gathered = await gatherLatents({ ...input, options, checkpoints, onProgress: report });
  const measured = await effectsOf(input, gathered.builder, checkpoints, report);
  throwIfAborted(input.signal);
  return writeIndex(input, gathered, measured);
}

async function writeIndex(
  input: BuildFeatureIndexInput,
  gathered: GatheredLatents,
  measured: MeasuredEffects | undefined,
): Promise<BuiltIndex> {
  const { out, dictionary, tokenSet, tokenizer, seed = 0 } = input;
  const { builder } = gathered;
  await clear(out);
  const counts = tokenCounts(tokenSet.tokens, tokenizer.vocabSize);
  const corpus = await writeCorpus(out, tokenSet, counts.length);
  const vocabulary = { path: 'vocabulary.json', ...(await writeVocabulary(out, tokenizer, counts)) };
  const coActivation = builder.coActivation(input.backend);
  const tables = await writeTables(input, gathered, coActivation, measured, counts);
  const files = [...corpus.files, vocabulary, ...tables];
  await writeManifest(out, {
    kind: 'feature-index',
    madeFrom: { ...input.madeFrom, activations: input.source.hash, tokens: corpus.files[0].sha256 },
    seed,
    backend: input.backend.description,
    details: {
      ...details(input, builder, coActivation, counts, measured),
      files,
      corpus: corpusDetails(input, corpus, counts.length),
    },
  });
  await removeCheckpoints(out);
  return {
    folder: out,
    nTokens: builder.nTokens,
    nAlive: builder.moments.nFired.reduce((alive, nFired) => alive + (nFired > 0 ? 1 : 0), 0),
    bytes: sizeOf(files),
    bytesPerLatent: Math.round(sizeOf(tables) / dictionary.config.dSae),
  };
}

function sizeOf(files: readonly IndexFile[]): number {
  return files.reduce((sum, file) => sum + file.bytes, 0);
}

function builderOptions({
  dictionary,
  tokenSet,
  seed = 0,
  examples,
}: BuildFeatureIndexInput): BuilderOptions {
  return {
    ...DEFAULT_EXAMPLES,
    ...examples,
    dSae: dictionary.config.dSae,
    dIn: dictionary.config.dIn,
    contextSize: tokenSet.contextSize,
    seed,
  };
}

/** Everything that decides what the pass and the ablations find belongs to the fingerprint. */
function checkpointsOf(input: BuildFeatureIndexInput, options: BuilderOptions): CheckpointPlace {
  const { dictionary, source, backend, tokenSet, ablations } = input;
  const { config, weights } = dictionary;
  const settings = [INDEX_VERSION, TOOLKIT_VERSION, config, options, source.hash, backend.description];
  const fingerprint = sha256(
    JSON.stringify([...settings, ablations?.tokens ?? 0]),
    tokenPieces(tokenSet.tokens),
    Object.values(weights as object as Record<string, Float32Array>),
  );
  return { out: input.out, fingerprint, seconds: input.checkpointSeconds };
}

/** Ablations, where there is a budget for them. */
async function effectsOf(
  { ablations, tokenSet, dictionary, signal }: BuildFeatureIndexInput,
  builder: FeatureIndexBuilder,
  checkpoints: CheckpointPlace,
  report: (tokens: number) => void,
): Promise<MeasuredEffects | undefined> {
  if (!ablations || ablations.tokens === 0) return undefined;
  const work = Math.min(ablations.tokens, tokenSet.tokens.length);
  return measureEffects({
    ...{ builder, tokenSet, signal, checkpoints, runner: ablations.runner, budget: ablations.tokens },
    W_dec: dictionary.weights.W_dec,
    dSae: dictionary.config.dSae,
    onProgress: (share) => report(builder.nTokens + share * work),
  });
}

/** Tokens of all the work together: an ablation counts as one. */
function totalWork({ tokenSet, ablations }: BuildFeatureIndexInput): number {
  const ablated = Math.min(ablations?.tokens ?? 0, tokenSet.tokens.length);
  return Math.ceil((tokenSet.tokens.length + ablated) / 0.95);
}

async function writeTables(
  input: BuildFeatureIndexInput,
  { builder, neighbours, map }: GatheredLatents,
  coActivation: CoActivation,
  measured: MeasuredEffects | undefined,
  counts: Uint32Array,
): Promise<IndexFile[]> {
  const { out, dictionary, backend, jacobian, signal, onProgress } = input;
  const { dSae, dIn } = dictionary.config;
  const { W_dec } = dictionary.weights;
  const tokens = Uint32Array.from(counts.keys()).filter((id) => counts[id] > 0);
  const total = totalWork(input);
  const tables = await writeLatentTables({
    folder: out,
    builder,
    dictionary,
    logits:
      jacobian && logitEffects({ backend, W_dec, dSae, dIn, jacobian, tokens, nTop: TOP_LOGITS, signal }),
    neighbours,
    coActivation,
    map,
    meanEffects: measured?.means ?? new Map(),
    logRange: logRange(builder, dSae),
    onLatent: (done) => {
      if (done % 256 === 0) onProgress?.(total * (0.95 + (0.05 * done) / dSae), total);
    },
  });
  const effects = measured ? await writeEffects(out, measured.ablations, measured.effects, dSae) : [];
  const massOf = (latent: number) => ({
    entries: builder.tokenMass.of(latent),
    total: builder.moments.sum(latent),
  });
  return [...tables, ...effects, await writeTokenLatents(out, massOf, dSae, counts)];
}

/** Binary exponents of the smallest value any latent resolves and of the largest limit. */
function logRange(builder: FeatureIndexBuilder, dSae: number): [number, number] {
  let [lowest, highest] = [Infinity, -Infinity];
  for (let latent = 0; latent < dSae; latent++) {
    const limit = builder.histogram.limit(latent);
    if (limit === 0) continue;
    lowest = Math.min(lowest, Math.log2(limit) - 12);
    highest = Math.max(highest, Math.log2(limit));
  }
  return lowest < highest ? [lowest, highest] : [-12, 0];
}

function details(
  input: BuildFeatureIndexInput,
  builder: FeatureIndexBuilder,
  coActivation: CoActivation,
  counts: Uint32Array,
  measured: MeasuredEffects | undefined,
): Omit<IndexDetails, 'files' | 'corpus'> {
  const { dictionary, jacobian, evaluation = {} } = input;
  const { architecture, dIn, dSae, hookName, modelName } = dictionary.config;
  const options = builderOptions(input);
  return {
    index_version: INDEX_VERSION,
    dictionary: { architecture, d_in: dIn, d_sae: dSae, hook_name: hookName, model_name: modelName },
    evaluation,
    examples: {
      n_top: options.nTop,
      n_intervals: options.nIntervals,
      per_interval: options.perInterval,
      per_fifth: options.perFifth,
      n_random: options.nRandom,
      n_near_misses: options.nNearMisses,
      window_radius: options.windowRadius,
    },
    effects: measured ? { n_rows: measured.ablations.latents.length, by_token: measured.byToken } : null,
    co_activation: { n_tokens: coActivation.nTokens, is_exact: true },
    near_misses: { n_tokens: builder.nTokensKept },
    histogram: {
      linear_bins: LINEAR_BINS,
      log_edges: logEdges(...logRange(builder, dSae)),
    },
    logits: jacobian
      ? {
          n_top: TOP_LOGITS,
          bins: LOGIT_BINS,
          n_tokens: counts.reduce((n, count) => n + (count > 0 ? 1 : 0), 0),
        }
      : null,
    latents_per_part: LATENTS_PER_PART,
    latents_per_row_group: LATENTS_PER_ROW_GROUP,
  };
}

function corpusDetails(
  { tokenSet, source }: BuildFeatureIndexInput,
  { tokenBytes, sources, nDocuments }: WrittenCorpus,
  vocabSize: number,
): IndexDetails['corpus'] {
  return {
    n_tokens: tokenSet.tokens.length,
    n_contexts: tokenSet.nContexts,
    context_size: tokenSet.contextSize,
    n_documents: nDocuments,
    token_bytes: tokenBytes,
    vocab_size: vocabSize,
    sources,
    ...(source.axes && { axes: source.axes.map(({ name, size }) => ({ name, size })) }),
  };
}

function checkInput(input: BuildFeatureIndexInput): void {
  const { dictionary, source, tokenSet, jacobian } = input;
  const { dIn, dSae } = dictionary.config;
  let rows = 0;
  for (let chunk = 0; chunk < source.nChunks; chunk++) rows += source.chunkRows(chunk);
  const mismatch = (what: string, advice: string) => new MonosemeError('ERR_MISMATCH', what, advice);
  if (source.dIn !== dIn)
    throw mismatch(
      `The dictionary reads ${dIn} inputs, but the activations are ${source.dIn} wide.`,
      'Choose the hook that the dictionary was trained on.',
    );
  if (source.contextSize !== tokenSet.contextSize || rows !== tokenSet.tokens.length)
    throw mismatch(
      `The activations are of ${rows} tokens in contexts of ${source.contextSize}, the text has ` +
        `${tokenSet.tokens.length} in contexts of ${tokenSet.contextSize}.`,
      'Use the tokens that the activations were made from.',
    );
  if (jacobian && jacobian.length % dIn !== 0)
    throw mismatch(
      `The derivative of the logits has ${jacobian.length} elements, not a multiple of ${dIn}.`,
      'Compute it at the hook of the dictionary.',
    );
  const needed = FeatureIndexBuilder.bytesPerLatent(builderOptions(input)) * dSae;
  if (needed > 0.75 * totalmem())
    throw new MonosemeError(
      'ERR_MEMORY',
      `An index of ${dSae} latents takes ${Math.ceil(needed / 2 ** 30)} GiB of memory.`,
      'Use a machine with more memory, or a smaller window around the examples.',
    );
}

/** Remove the manifest of an older index first: from here on the folder is no index until the new one is whole. */
async function clear(out: string): Promise<void> {
  try {
    await mkdir(out, { recursive: true });
    for (const name of ['manifest.json', 'details', 'examples', 'effects', 'corpus']) {
      await rm(join(out, name), { recursive: true, force: true });
    }
  } catch (error) {
    throw fileError(error, `write to ${out}`);
  }
}
