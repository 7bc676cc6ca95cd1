import { join } from 'node:path';
import { atomicWrite, makeEmptyFolder } from '../../formats/index.ts';
import { type FeatureRecord, featureRecords, type FeatureRecordsOptions } from '../feature-records.ts';
import type { FeatureIndex } from '../open-feature-index.ts';
import { dashboardExamples, dashboardFigures, rounded, textsOf } from './dashboard-feature.ts';
import { EXPLANATIONS_FILE } from './read-saedashboard.ts';
import type { DecoderRows, SourceNames } from './source-names.ts';

/** As SAEDashboard's runner. */
const FEATURES_PER_BATCH = 128;

export interface DashboardOptions extends FeatureRecordsOptions {
  /** W_dec [dSae, dIn] of the dictionary: written as `vector` where it is given. */
  readonly decoder?: DecoderRows;
}

/**
 * Write an index as SAEDashboard writes its output: `batch-N.json` of 128 features each, `skipped_indexes.json` with
 * the latents that never fired, `run_settings.json`. Its format has no explanations: where there are some, they lie
 * beside as `explanations.jsonl`, which `addExplanations` reads. An example is the text around its peak as far as the index knows
 * the activations, not the whole prompt.
 *
 * @param out a folder that is missing or empty
 * @throws {MonosemeError} ERR_EXISTS, ERR_FILE, ERR_DISK_FULL, ERR_INTERRUPTED; what the index throws
 */
export async function writeSaedashboard(
  index: FeatureIndex,
  out: string,
  names: SourceNames,
  { decoder, ...options }: DashboardOptions = {},
): Promise<{ files: number }> {
  await makeEmptyFolder(out);
  const texts = await index.vocabulary();
  const { corpus, examples } = index.details;
  const common = {
    n_prompts_total: corpus.n_contexts,
    n_tokens_in_prompt: corpus.context_size,
    dataset: Object.keys(corpus.sources).join(', '),
  };
  const feature = (record: FeatureRecord) => ({
    feature_index: record.figures.latent_index,
    ...dashboardFigures(record, texts),
    ...common,
    activations: dashboardExamples(record, examples).map(({ example, binMin, binMax, binContains }) => ({
      bin_min: binMin,
      bin_max: binMax,
      bin_contains: binContains,
      tokens: textsOf(example.tokens, texts),
      values: rounded(example.activations),
      qualifying_token_index: example.token_index - example.firstToken,
    })),
    vector: decoder ? rounded(decoder.row(record.figures.latent_index)) : [],
  });
  const head = { model_id: names.modelId, layer: names.layer, sae_set: names.setName, sae_id_suffix: null };
  const skipped: number[] = [];
  const told: string[] = [];
  let batch: object[] = [];
  let files = 0;
  const flush = async () => {
    await atomicWrite(join(out, `batch-${files++}.json`), JSON.stringify({ ...head, features: batch }));
    batch = [];
  };
  for await (const record of featureRecords(index, options)) {
    if (record.figures.n_fired === 0) skipped.push(record.figures.latent_index);
    else {
      batch.push(feature(record));
      told.push(...record.explanations.map((explanation) => `${JSON.stringify(explanation)}\n`));
    }
    if (batch.length === FEATURES_PER_BATCH) await flush();
  }
  if (batch.length > 0) await flush();
  const skippedIndexes = { model_id: names.modelId, layer: String(names.layer), skipped_indexes: skipped };
  await atomicWrite(join(out, 'skipped_indexes.json'), JSON.stringify(skippedIndexes));
  const settings = { ...head, hook_point: index.details.dictionary.hook_name, ...common };
  await atomicWrite(join(out, 'run_settings.json'), `${JSON.stringify(settings, null, 2)}\n`);
  if (told.length > 0) await atomicWrite(join(out, EXPLANATIONS_FILE), told.join(''));
  return { files: files + 2 + Number(told.length > 0) };
}
