import { join } from 'node:path';
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
import { PackedLines } from './packed-lines.ts';
import type { DashboardOptions } from './write-saedashboard.ts';

/** The most that one upload may hold. */
const FEATURES_PER_UPLOAD = 128;
/**
 * 1,024 features in a file of the bulk layout: the importer lists at most 1,000 files of a folder and takes at most 65,000
 * lines of activations from one, so a million features with 63 examples each fit.
 */
const UPLOADS_PER_FILE = 8;
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
  const texts = await index.vocabulary();
  const context: RowContext = {
    details: index.details,
    names,
    texts,
    bulkTexts: texts.map((text) => text.replaceAll('\0', ' ')),
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
    await write(join(bulk, `${name}.jsonl`), `${JSON.stringify(row)}\n`);
  for (const [name, body] of Object.entries(setupRequests(context)))
    await write(join('upload', `${name}.json`), `${JSON.stringify(body, null, 2)}\n`);

  const writeBatch = async (packed: PackedBatch, batch: number) => {
    for (const [name, lines] of Object.entries(packed) as [string, PackedLines][]) {
      const bytes = await lines.end();
      if (lines.count > 0) await write(join(bulk, `${name}/batch-${batch}.jsonl.gz`), bytes);
    }
  };
  let packed = packedBatch();
  let nUploads = 0;
  const add = async (records: readonly FeatureRecord[]) => {
    await packed.features.add(records.map((record) => featureRow(record, context)));
    await packed.activations.add(records.flatMap((record) => activationRows(record, context)));
    await packed.explanations.add(records.flatMap((record) => explanationRows(record, context)));
    await write(
      join('upload', `features-${nUploads++}.json`),
      JSON.stringify(uploadRequest(records, context)),
    );
    if (nUploads % UPLOADS_PER_FILE > 0) return;
    await writeBatch(packed, nUploads / UPLOADS_PER_FILE - 1);
    packed = packedBatch();
  };
  let records: FeatureRecord[] = [];
  for await (const record of featureRecords(index, options)) {
    if (record.figures.n_fired > 0) records.push(record);
    if (records.length < FEATURES_PER_UPLOAD) continue;
    await add(records);
    records = [];
  }
  if (records.length > 0) await add(records);
  await writeBatch(packed, Math.floor(nUploads / UPLOADS_PER_FILE));
  return { files };
}

interface PackedBatch {
  readonly features: PackedLines;
  readonly activations: PackedLines;
  readonly explanations: PackedLines;
}

function packedBatch(): PackedBatch {
  return { features: new PackedLines(), activations: new PackedLines(), explanations: new PackedLines() };
}
