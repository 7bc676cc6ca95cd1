import { join } from 'node:path';
import { MonosemeError } from '../errors.ts';
import { readJson, snakeCaseKeys, TOOLKIT_VERSION, writeJson } from '../formats/index.ts';
import { densityHistogram } from './density-histogram.ts';
import type { EvaluationReport } from './evaluate.ts';

const SCHEMA_VERSION = 1;
const REPORT_FILE = 'evaluation.json';
const MAX_REPORT_BYTES = 1 << 30;

/** The figures of a report with their names on disk. */
export function reportFigures(report: EvaluationReport): Record<string, number> {
  const { densities: _, ...figures } = report;
  return snakeCaseKeys(figures);
}

/** Write `evaluation.json`: what it was made from and how, figures, density histogram, and the density of every latent. */
export async function writeReport(
  folder: string,
  report: EvaluationReport,
  madeFrom: Record<string, string>,
  provenance: { backend: string; seed: number; split: string },
): Promise<string> {
  const path = join(folder, REPORT_FILE);
  await writeJson(path, {
    schema_version: SCHEMA_VERSION,
    made_from: madeFrom,
    versions: { monoseme: TOOLKIT_VERSION },
    ...provenance,
    figures: reportFigures(report),
    density_histogram: densityHistogram(report.densities),
    densities: Array.from(report.densities),
  });
  return path;
}

/** A report as it is on disk, without the density of every latent. */
export interface StoredReport {
  readonly madeFrom: Readonly<Record<string, string>>;
  readonly figures: Readonly<Record<string, number>>;
}

/** Read an `evaluation.json`. @throws {MonosemeError} ERR_NOT_FOUND, ERR_FILE, ERR_FORMAT */
export async function readReport(folder: string): Promise<StoredReport> {
  const path = join(folder, REPORT_FILE);
  const json = (await readJson(path, MAX_REPORT_BYTES)) as Record<string, unknown> | null;
  const { made_from: madeFrom, figures, schema_version: version } = json ?? {};
  if (version === SCHEMA_VERSION && isObject(madeFrom) && isObject(figures))
    return { madeFrom: madeFrom as Record<string, string>, figures: figures as Record<string, number> };
  throw new MonosemeError('ERR_FORMAT', `${path} is not an evaluation of this version.`, 'Evaluate again.');
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
