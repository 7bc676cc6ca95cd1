import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseJson, readLimited } from '../../formats/index.ts';
import { type DashboardEntry, type DashboardSource, EntryReader } from './dashboard-entry.ts';

/** Explanations beside the batches, which have none themselves. */
export const EXPLANATIONS_FILE = 'explanations.jsonl';

/** A batch of 128 features takes 12 MB; a hundred times that is no batch, and V8 has no longer strings. */
const MAX_BATCH_BYTES = 2 ** 29;

/** `batch-N.json` of a folder, by number. */
export async function saedashboardBatches(folder: string): Promise<string[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => /^batch-\d+\.json$/.test(name));
  const numberOf = (name: string) => Number(name.slice('batch-'.length, -'.json'.length));
  return names.sort((a, b) => numberOf(a) - numberOf(b)).map((name) => join(folder, name));
}

/**
 * The output of SAEDashboard: a folder of `batch-N.json`, read one after the other.
 *
 * @throws {MonosemeError} ERR_FORMAT, ERR_LIMIT, ERR_FILE
 */
export async function readSaedashboard(batches: readonly string[]): Promise<DashboardSource> {
  const first = await readBatch(batches[0]);
  const [feature] = first.features;
  return {
    head: {
      format: 'saedashboard',
      modelName: first.head.text('model_id'),
      hookName: `layer ${first.head.text('layer')} ${first.head.text('sae_set')}`.trim(),
      dataset: feature?.text('dataset') ?? '',
      nTokens: feature ? feature.number('n_prompts_total') * feature.number('n_tokens_in_prompt') : 0,
    },
    entries: () => entriesOf(batches),
  };
}

async function* entriesOf(batches: readonly string[]): AsyncGenerator<DashboardEntry> {
  for (const path of batches) {
    for (const feature of (await readBatch(path)).features) {
      const index = feature.index('feature_index');
      yield { figures: feature.figures(index) };
      for (const row of feature.rows('activations')) {
        const example = new EntryReader(row, `${basename(path)}, an example of feature ${index},`);
        yield { example: example.example(index, 'bin_min', 'bin_max') };
      }
    }
  }
}

async function readBatch(path: string): Promise<{ head: EntryReader; features: EntryReader[] }> {
  const name = basename(path);
  const head = new EntryReader(parseJson(await readLimited(path, MAX_BATCH_BYTES), path), name);
  const features = head.rows('features').map((row, i) => new EntryReader(row, `${name}, entry ${i},`));
  return { head, features };
}
