import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { MonosemeError, throwIfAborted } from '../../errors.ts';
import { makeEmptyFolder, sha256File, writeManifest } from '../../formats/index.ts';
import { addExplanations } from '../explanations.ts';
import { logEdges } from '../activation-histogram.ts';
import { writeCorpus } from '../corpus-files.ts';
import { LatentTables } from '../latent-tables.ts';
import {
  INDEX_VERSION,
  type IndexDetails,
  LATENTS_PER_PART,
  LATENTS_PER_ROW_GROUP,
  LINEAR_BINS,
} from '../schema.ts';
import { writeTokenLatents } from '../token-latents.ts';
import { tokenCounts, writeVocabulary } from '../vocabulary.ts';
import type { DashboardHead, DashboardSource, ReadExample, ReadFigures } from './dashboard-entry.ts';
import { neuronpediaFiles, readNeuronpedia } from './read-neuronpedia.ts';
import { EXPLANATIONS_FILE, readSaedashboard, saedashboardBatches } from './read-saedashboard.ts';
import { type ReadRow, rowsOfFeature, tokenMassOf } from './read-feature-rows.ts';
import { TextContexts } from './text-contexts.ts';

interface FoundExport {
  readonly files: readonly string[];
  /** Files of explanations, which need the finished index. */
  readonly explanations: readonly string[];
  open(): Promise<DashboardSource>;
}

/** The files of an export in a folder; undefined where it is none. */
export async function openDashboards(folder: string): Promise<FoundExport | undefined> {
  const batches = await saedashboardBatches(folder);
  if (batches.length > 0) {
    const beside = join(folder, EXPLANATIONS_FILE);
    return {
      files: batches,
      explanations: existsSync(beside) ? [beside] : [],
      open: () => readSaedashboard(batches),
    };
  }
  const bulk = await neuronpediaFiles(folder);
  if (!bulk) return undefined;
  const { features, activations, explanations } = bulk;
  return { files: [...features, ...activations], explanations, open: () => readNeuronpedia(bulk) };
}

/**
 * Make a feature index of an export of SAEDashboard (a folder of `batch-N.json`) or of one source in Neuronpedia's bulk
 * layout, so that it opens on the page. docs/feature-index.md says what such an index knows less than one made here.
 *
 * Memory  the figures and examples of all features: about 5 KB a feature and 4 bytes a token of distinct text
 * @param out a folder that is missing or empty
 * @throws {MonosemeError} ERR_NOT_FOUND when the folder holds no export; ERR_FORMAT, ERR_LIMIT, ERR_EXISTS, ERR_FILE,
 * ERR_DISK_FULL, ERR_INTERRUPTED
 */
export async function importDashboards(
  folder: string,
  out: string,
  options: { readonly signal?: AbortSignal; readonly onProgress?: (features: number) => void } = {},
): Promise<{ features: number; format: string }> {
  const found = await openDashboards(folder);
  if (!found)
    throw new MonosemeError(
      'ERR_NOT_FOUND',
      `${folder} holds no export.`,
      'SAEDashboard writes batch-0.json …, Neuronpedia features/batch-0.jsonl.gz and activations/….',
    );
  const source = await found.open();
  const contexts = new TextContexts();
  const features = await readAll(source, contexts, options);
  await makeEmptyFolder(out);
  const details = await writeIndex(out, source.head, contexts, features);
  await writeManifest(out, {
    kind: 'feature-index',
    madeFrom: { export: await sha256File(found.files[0]) },
    details: { ...details },
  });
  if (found.explanations.length > 0) await addExplanations(out, found.explanations);
  return { features: features.figures.size, format: source.head.format };
}

interface ReadFeatures {
  readonly figures: Map<number, ReadFigures>;
  readonly examples: Map<number, ReadRow[]>;
}

async function readAll(
  source: DashboardSource,
  contexts: TextContexts,
  { signal, onProgress }: { readonly signal?: AbortSignal; readonly onProgress?: (features: number) => void },
): Promise<ReadFeatures> {
  const figures = new Map<number, ReadFigures>();
  const examples = new Map<number, ReadRow[]>();
  for await (const entry of source.entries()) {
    throwIfAborted(signal);
    if ('figures' in entry) {
      figures.set(entry.figures.index, entry.figures);
      onProgress?.(figures.size);
      continue;
    }
    const { index } = entry.example;
    const row = rowOf(entry.example, contexts);
    const rows = examples.get(index);
    if (rows) rows.push(row);
    else examples.set(index, [row]);
  }
  if (figures.size === 0)
    throw new MonosemeError('ERR_FORMAT', 'The export holds no feature.', 'Get the files again.');
  return { figures, examples };
}

function rowOf({ tokens, values, binMin, binMax }: ReadExample, contexts: TextContexts): ReadRow {
  let peak = 0;
  const firing: number[] = [];
  // Of most of a hundred tokens, in hundreds of thousands of examples, there is nothing to keep.
  for (let i = 0; i < values.length; i++) {
    if (values[i] > values[peak]) peak = i;
    if (values[i] > 0) firing.push(i);
  }
  const beside = firing.filter((i) => i !== peak);
  return {
    context: contexts.context(tokens),
    peak,
    peakToken: contexts.id(tokens[peak]),
    activation: values[peak],
    offsets: beside.map((i) => i - peak),
    activations: beside.map((i) => values[i]),
    tokens: beside.map((i) => contexts.id(tokens[i])),
    binMin,
    binMax,
  };
}

async function writeIndex(
  out: string,
  head: DashboardHead,
  contexts: TextContexts,
  { figures, examples }: ReadFeatures,
): Promise<IndexDetails> {
  const dSae = [...figures.keys()].reduce((most, index) => Math.max(most, index), 0) + 1;
  const tables = new LatentTables(out);
  const { contextSize } = contexts;
  let nIntervals = 1;
  for (let latent = 0; latent < dSae; latent++) {
    const rows = rowsOfFeature(latent, figures.get(latent), examples.get(latent) ?? [], {
      nTokens: head.nTokens,
      contextSize,
      tokenId: (text) => contexts.id(text),
    });
    nIntervals = Math.max(nIntervals, rows.nIntervals);
    await tables.add(rows.feature, rows.details, rows.examples);
  }
  const latentFiles = await tables.finish();
  const texts = contexts.texts();
  const tokenSet = contexts.tokenSet(head.dataset || head.format);
  const corpus = await writeCorpus(out, tokenSet, texts.vocabSize);
  const counts = tokenCounts(tokenSet.tokens, texts.vocabSize);
  const vocabulary = { path: 'vocabulary.json', ...(await writeVocabulary(out, texts, counts)) };
  const massOf = (latent: number) => tokenMassOf(examples.get(latent) ?? []);
  const tokenLatents = await writeTokenLatents(out, massOf, dSae, counts);
  return {
    index_version: INDEX_VERSION,
    imported_from: head.format,
    dictionary: {
      architecture: head.format,
      d_in: 0,
      d_sae: dSae,
      hook_name: head.hookName,
      model_name: head.modelName,
    },
    evaluation: {},
    corpus: {
      n_tokens: tokenSet.tokens.length,
      n_contexts: tokenSet.nContexts,
      context_size: contextSize,
      n_documents: corpus.nDocuments,
      token_bytes: corpus.tokenBytes,
      vocab_size: counts.length,
      sources: corpus.sources,
    },
    examples: {
      n_top: 0,
      n_intervals: nIntervals,
      per_interval: 0,
      per_fifth: 0,
      n_random: 0,
      n_near_misses: 0,
      window_radius: contextSize,
    },
    effects: null,
    co_activation: { n_tokens: 0 },
    histogram: { linear_bins: LINEAR_BINS, log_edges: logEdges(-12, 0) },
    logits: { n_top: 10, bins: LINEAR_BINS, n_tokens: texts.vocabSize },
    latents_per_part: LATENTS_PER_PART,
    latents_per_row_group: LATENTS_PER_ROW_GROUP,
    files: [...corpus.files, vocabulary, ...latentFiles, tokenLatents],
  };
}
