import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { atomicWrite, readJson, snakeCase, snakeCaseKeys, writeJson } from '../formats/index.ts';
import { writeTable } from '../features/parquet-table.ts';

/** One line of the run table. Figures of a run that failed are NaN. */
export interface ResultRow {
  readonly run: string;
  readonly model: string;
  readonly hook: string;
  readonly architecture: string;
  readonly dSae: number;
  readonly seed: number;
  /** The L1 or L0 coefficient given, or k; NaN where there is neither. */
  readonly sparsity: number;
  readonly l0: number;
  readonly explainedVariance: number;
  readonly lossRecovered: number;
  /** Latents that were never active on the held-out text. */
  readonly dead: number;
  /** Latents of the ultralow-density cluster, and whether it stands apart from the others. */
  readonly ultralow: number;
  readonly clustersApart: boolean;
  /** Of training, beside the others of its group; NaN where it was cut off between training and measuring. */
  readonly seconds: number;
  /** Empty, or why the run failed. */
  readonly error: string;
}

const SCHEMA = {
  run: 'string',
  model: 'string',
  hook: 'string',
  architecture: 'string',
  dSae: 'int32',
  seed: 'int32',
  sparsity: 'float',
  l0: 'float',
  explainedVariance: 'float',
  lossRecovered: 'float',
  dead: 'float',
  ultralow: 'float',
  clustersApart: 'boolean',
  seconds: 'float',
  error: 'string',
} as const;
const NAMES = Object.keys(SCHEMA) as (keyof ResultRow)[];

/** In the folder of a finished dictionary. */
export const RESULT_FILE = 'result.json';
const MAX_BYTES = 1 << 16;

/**
 * The row of a finished dictionary is kept in its folder, so that it is not made again.
 *
 * @param settings stands for everything that decides the row
 */
export async function writeResult(folder: string, settings: string, row: ResultRow): Promise<void> {
  await writeJson(join(folder, RESULT_FILE), { settings, row: snakeCaseKeys<unknown>({ ...row }) });
}

/** @returns undefined where there is none of these settings */
export async function readResult(folder: string, settings: string): Promise<ResultRow | undefined> {
  const path = join(folder, RESULT_FILE);
  if (!existsSync(path)) return undefined;
  const stored = (await readJson(path, MAX_BYTES)) as { settings?: unknown; row?: Record<string, unknown> };
  if (stored.settings !== settings) return undefined;
  // JSON has no NaN.
  return Object.fromEntries(
    NAMES.map((name) => [name, stored.row?.[snakeCase(name)] ?? NaN]),
  ) as unknown as ResultRow;
}

/** Write the rows as `runs.csv` and `runs.parquet`. @returns their paths */
export async function writeRunTable(folder: string, rows: readonly ResultRow[]): Promise<string[]> {
  const csv = join(folder, 'runs.csv');
  const parquet = join(folder, 'runs.parquet');
  const lines = [NAMES.map(snakeCase), ...rows.map((row) => NAMES.map((name) => csvCell(row[name])))];
  await atomicWrite(csv, new TextEncoder().encode(lines.map((cells) => `${cells.join(',')}\n`).join('')));
  const schema = Object.fromEntries(NAMES.map((name) => [snakeCase(name), SCHEMA[name]]));
  const cells = rows.map((row) => Object.fromEntries(NAMES.map((name) => [snakeCase(name), row[name]])));
  await writeTable(parquet, schema, cells, 1024);
  return [csv, parquet];
}

function csvCell(value: string | number | boolean): string {
  if (typeof value === 'number' && Number.isNaN(value)) return '';
  const text = String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * The rows that no other beats: none has at most their L0 and more of the loss recovered. Ascending in L0; of equal rows
 * the first.
 */
export function paretoFront(rows: readonly ResultRow[]): ResultRow[] {
  const sorted = rows
    .filter(({ l0, lossRecovered }) => Number.isFinite(l0) && Number.isFinite(lossRecovered))
    .sort((a, b) => a.l0 - b.l0 || b.lossRecovered - a.lossRecovered);
  let best = -Infinity;
  return sorted.filter(({ lossRecovered }) => {
    if (lossRecovered <= best) return false;
    best = lossRecovered;
    return true;
  });
}
