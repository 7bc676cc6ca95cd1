import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { atomicWrite, makeEmptyFolder } from '../../formats/index.ts';
import { type FeatureRecord, featureRecords } from '../feature-records.ts';
import type { FeatureIndex } from '../open-feature-index.ts';
import {
  activationRows,
  explanationRows,
  featureRow,
  type RowContext,
  setupRequests,
  sourceRows,
  uploadRequest,
} from './neuronpedia-rows.ts';
import type { SourceNames } from './source-names.ts';
import type { DashboardOptions } from './write-saedashboard.ts';

/**
 * Features of one file of the bulk layout: the importer lists at most 1,000 files of a folder and takes at most 65,000
 * lines of activations from one, so a million features with 63 examples each fit.
 */
const FEATURES_PER_FILE = 1024;
/** The most that one upload may hold; it divides the number above. */
const FEATURES_PER_UPLOAD = 128;
/** The account that Neuronpedia creates with its tables; its examples are shown to all. */
const DEFAULT_CREATOR = 'clkht01d40000jv08hvalcvly';

export interface NeuronpediaOptions extends DashboardOptions {
  /** Account of the rows (default: the one that Neuronpedia's own seed creates). */
  readonly creatorId?: string;
  /** Time of the rows (default: now). */
  readonly createdAt?: Date;
}

/**
 * Write an index in both of Neuronpedia's forms: `v1/{model}/{source}/`, the bulk layout that its importer reads, and
 * `upload/`, one file for the body of each request of its upload API.
 *
 * Every line of a file has the same keys, since the importer takes its columns from the first. Latents that never
 * fired are left out. `binContains` is a share of the firings, not of all tokens.
 *
 * @param out a folder that is missing or empty
 * @throws {MonosemeError} ERR_EXISTS, ERR_FILE, ERR_DISK_FULL, ERR_INTERRUPTED; what the index throws
 */
export async function writeNeuronpedia(
  index: FeatureIndex,
  out: string,
  names: SourceNames,
  { decoder, creatorId = DEFAULT_CREATOR, createdAt = new Date(), ...options }: NeuronpediaOptions = {},
): Promise<{ files: number }> {
  await makeEmptyFolder(out);
  const context: RowContext = {
    details: index.details,
    names,
    texts: await index.vocabulary(),
    creatorId,
    createdAt: createdAt.toISOString(),
    decoder,
  };
  const bulk = join('v1', names.modelId, names.sourceId);
  let files = 0;
  const write = async (path: string, content: Uint8Array | string) => {
    await atomicWrite(join(out, path), content);
    files++;
  };
  for (const [name, row] of Object.entries(sourceRows(context)))
    await write(join(bulk, `${name}.jsonl`), jsonLines([row]));
  for (const [name, body] of Object.entries(setupRequests(context)))
    await write(join('upload', `${name}.json`), `${JSON.stringify(body, null, 2)}\n`);

  const writeBatch = async (records: readonly FeatureRecord[], batch: number) => {
    const rows = records.map((record) => featureRow(record, context));
    await write(join(bulk, `features/batch-${batch}.jsonl.gz`), gzipSync(jsonLines(rows)));
    const activations = records.flatMap((record) => activationRows(record, context));
    await write(join(bulk, `activations/batch-${batch}.jsonl.gz`), gzipSync(jsonLines(activations)));
    const explanations = records.flatMap((record) => explanationRows(record, context));
    if (explanations.length > 0)
      await write(join(bulk, `explanations/batch-${batch}.jsonl.gz`), gzipSync(jsonLines(explanations)));
    for (let start = 0; start < records.length; start += FEATURES_PER_UPLOAD) {
      const body = uploadRequest(records.slice(start, start + FEATURES_PER_UPLOAD), context);
      const number = (batch * FEATURES_PER_FILE + start) / FEATURES_PER_UPLOAD;
      await write(join('upload', `features-${number}.json`), JSON.stringify(body));
    }
  };
  let batch = 0;
  let records: FeatureRecord[] = [];
  for await (const record of featureRecords(index, options)) {
    if (record.figures.n_fired > 0) records.push(record);
    if (records.length < FEATURES_PER_FILE) continue;
    await writeBatch(records, batch++);
    records = [];
  }
  if (records.length > 0) await writeBatch(records, batch);
  return { files };
}

function jsonLines(rows: readonly object[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}
