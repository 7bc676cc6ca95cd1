import { createReadStream } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import { fileError, MonosemeError } from '../errors.ts';
import { parseJson, readLimited, readManifest, sha256, writeManifest } from '../formats/index.ts';
import { openFeatureIndex } from './open-feature-index.ts';
import { writeTable } from './parquet-table.ts';
import { EXPLANATIONS, type IndexDetails, type IndexFile } from './schema.ts';

/** Neuronpedia takes 512 characters; a paragraph of a careful reader has some more. */
const MAX_TEXT = 4096;
const MAX_NAME = 256;
/** One list in a JSON file. */
const MAX_JSON_BYTES = 2 ** 28;
const MAX_EXPLANATIONS = 2 ** 22;
const ROWS_PER_GROUP = 512;
const FILE_NAME = /^explanations-[0-9a-f]{12}\.parquet$/;

/** What somebody, or a model, says of a latent. */
export interface Explanation {
  readonly latent_index: number;
  readonly text: string;
  /** How it was made, and by which model; empty where it is not said. */
  readonly method: string;
  readonly model: string;
  /** NaN without one; and what it measures. */
  readonly score: number;
  readonly score_name: string;
}

/**
 * Add explanations to an index. The table gets a name by its content and the manifest is written last, so that an index
 * is whole at every moment. What is there already is kept; of two with the same latent, text, method and model the later
 * one counts.
 *
 * Files are JSON lines or one JSON list, plain or `.gz`, of objects with a number (`latent_index`, `latent` or
 * `index`), a text (`text`, `explanation` or `description`) and, where known, `method` or `typeName`, `model` or
 * `explanationModelName`, `score` and `score_name`, or Neuronpedia's `scores`.
 *
 * @throws {MonosemeError} what `openFeatureIndex` throws; ERR_FORMAT for a line that is none, or of a latent that the index
 * has not; ERR_LIMIT, ERR_NOT_FOUND, ERR_FILE
 */
export async function addExplanations(
  folder: string,
  files: readonly string[],
): Promise<{ added: number; total: number; features: number }> {
  const index = await openFeatureIndex(folder);
  const rows = new Map<string, Explanation>();
  const put = (row: Explanation) =>
    rows.set(JSON.stringify([row.latent_index, row.text, row.method, row.model]), row);
  for (const row of await index.explanations()) put(row);
  const before = rows.size;
  for (const file of files) {
    for await (const row of explanationsOf(file, index.dSae)) {
      put(row);
      if (rows.size > MAX_EXPLANATIONS)
        throw new MonosemeError(
          'ERR_LIMIT',
          `There are more than ${MAX_EXPLANATIONS} explanations.`,
          'Leave some out.',
        );
    }
  }
  const sorted = [...rows.values()].sort((a, b) => a.latent_index - b.latent_index);
  const features = new Set(sorted.map(({ latent_index }) => latent_index)).size;
  const path = `explanations-${sha256(JSON.stringify(sorted)).slice(0, 12)}.parquet`;
  const file = { path, ...(await writeTable(join(folder, path), EXPLANATIONS, sorted, ROWS_PER_GROUP)) };
  await rewriteManifest(folder, file, { path, n_rows: sorted.length, n_features: features });
  for (const name of await readdir(folder))
    if (FILE_NAME.test(name) && name !== path) await rm(join(folder, name), { force: true });
  return { added: rows.size - before, total: sorted.length, features };
}

async function rewriteManifest(
  folder: string,
  file: IndexFile,
  explanations: IndexDetails['explanations'],
): Promise<void> {
  const manifest = await readManifest(folder, 'feature-index');
  const details = manifest.details as unknown as IndexDetails;
  const others = details.files.filter(({ path }) => !FILE_NAME.test(path));
  await writeManifest(folder, {
    ...manifest,
    details: { ...details, files: [...others, file], explanations },
  });
}

async function* explanationsOf(path: string, dSae: number): AsyncGenerator<Explanation> {
  let place = 0;
  for await (const value of path.endsWith('.json') ? listOf(path) : linesOf(path))
    yield explanation(value, `${path}, entry ${++place}`, dSae);
}

async function* listOf(path: string): AsyncGenerator<unknown> {
  const json = parseJson(await readLimited(path, MAX_JSON_BYTES), path);
  if (!Array.isArray(json))
    throw new MonosemeError(
      'ERR_FORMAT',
      `${path} holds no list.`,
      'Give a list of explanations, or JSON lines.',
    );
  yield* json;
}

async function* linesOf(path: string): AsyncGenerator<unknown> {
  const file = createReadStream(path);
  const input = path.endsWith('.gz') ? file.pipe(createGunzip()) : file;
  // An error of the file does not pass through a pipe by itself.
  file.on('error', (error) => input.destroy(error));
  try {
    for await (const line of createInterface({ input, crlfDelay: Infinity }))
      if (line.trim() !== '') yield parseJson(new TextEncoder().encode(line), path);
  } catch (error) {
    throw error instanceof MonosemeError ? error : fileError(error, `read ${path}`);
  }
}

function explanation(value: unknown, where: string, dSae: number): Explanation {
  const row = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const first = (...names: string[]) =>
    names.map((name) => row[name]).find((found) => found !== undefined && found !== null);
  const latent = Number(first('latent_index', 'latent', 'index') ?? NaN);
  const text = first('text', 'explanation', 'description');
  if (!Number.isInteger(latent) || latent < 0 || latent >= dSae)
    throw new MonosemeError(
      'ERR_FORMAT',
      `${where} is of latent ${String(first('latent_index', 'latent', 'index'))}.`,
      `The index has latents 0 to ${dSae - 1}.`,
    );
  if (typeof text !== 'string' || text.trim() === '' || text.length > MAX_TEXT)
    throw new MonosemeError(
      'ERR_FORMAT',
      `${where} has no text, or one of more than ${MAX_TEXT} characters.`,
      'Each explanation has a text, as in {"latent_index": 7, "text": "names of ships"}.',
    );
  const scored = (Array.isArray(row['scores']) ? row['scores'][0] : undefined) as
    Record<string, unknown> | undefined;
  const score = Number(first('score') ?? scored?.['value'] ?? NaN);
  const name = (...names: string[]) => String(first(...names) ?? '').slice(0, MAX_NAME);
  return {
    latent_index: latent,
    text: text.trim(),
    method: name('method', 'typeName'),
    model: name('model', 'explanationModelName'),
    score: Number.isFinite(score) ? score : NaN,
    score_name: name('score_name') || String(scored?.['explanationScoreTypeName'] ?? '').slice(0, MAX_NAME),
  };
}
