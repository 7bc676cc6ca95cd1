import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readJson, snakeCaseKeys, writeJson } from '../formats/index.ts';
import { densityHistogram } from './density-histogram.ts';
import type { EvaluationReport } from './evaluate.ts';

const SCHEMA_VERSION = 1;
const MAX_REPORT_BYTES = 1 << 30;

/** The figures of a report with their names on disk. */
export function reportFigures(report: EvaluationReport): Record<string, number> {
  const { densities: _, ...figures } = report;
  return snakeCaseKeys(figures);
}

/** Write `evaluation.json`: figures, density histogram, and the density of every latent. */
export async function writeReport(
  folder: string,
  report: EvaluationReport,
  madeFrom: Record<string, string>,
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, 'evaluation.json');
  await writeJson(path, {
    schema_version: SCHEMA_VERSION,
    made_from: madeFrom,
    figures: reportFigures(report),
    density_histogram: densityHistogram(report.densities),
    densities: Array.from(report.densities),
  });
  return path;
}

/** Read the figures of an `evaluation.json`. */
export async function readReportFigures(path: string): Promise<Record<string, number>> {
  const json = (await readJson(path, MAX_REPORT_BYTES)) as { figures?: Record<string, number> };
  return json.figures ?? {};
}
