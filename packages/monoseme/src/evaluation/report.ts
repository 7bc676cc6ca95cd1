import { join } from 'node:path';
import type { LeftOut } from '../activations/index.ts';
import { MonosemeError } from '../errors.ts';
import { readJson, snakeCaseKeys, TOOLKIT_VERSION, writeJson } from '../formats/index.ts';
import { densityHistogram } from './density-histogram.ts';
import type { EvaluationReport, GroupFigures } from './evaluation-report.ts';
import { tokensBehind } from './figures.ts';

const SCHEMA_VERSION = 2;
const REPORT_FILE = 'evaluation.json';
const MAX_REPORT_BYTES = 1 << 30;

/** What a report was made from and how, so that it can be made again. */
export interface Provenance {
  /** SHA-256 by role. */
  readonly madeFrom: Readonly<Record<string, string>>;
  readonly backend: string;
  readonly seed: number;
  readonly split: string;
  /** What was measured, in words. */
  readonly subject: string;
  /** Which rows are in no figure, where some were left out. */
  readonly leftOut?: LeftOut;
  /** The command line; absent when it was made by a function call. */
  readonly command?: string;
}

/** The figures of a report with their names on disk; those that are not defined are left out. */
export function reportFigures({ figures, counts }: EvaluationReport): Record<string, number> {
  return defined({ nTokens: counts.tokens, ...figures });
}

function defined(figures: object): Record<string, number> {
  return snakeCaseKeys(
    Object.fromEntries(Object.entries(figures).filter(([, value]) => Number.isFinite(value))),
  );
}

/** The report as it is on disk; docs/evaluation.md describes it. */
export function reportJson(report: EvaluationReport, provenance: Provenance): Record<string, unknown> {
  const { madeFrom, leftOut, ...how } = provenance;
  const { directions, clusters, intervals } = report;
  const { nearestCosines, encoderDecoderProducts, encoderBiases, histogram, ...shares } = directions;
  const { liveCentre = null, ultralowCentre = null, valley = null, ...clusterCounts } = clusters;
  return {
    schema_version: SCHEMA_VERSION,
    made_from: madeFrom,
    versions: { monoseme: TOOLKIT_VERSION },
    ...how,
    counts: report.counts,
    n_left_out: report.nLeftOut,
    left_out: leftOut ? snakeCaseKeys({ ...leftOut }) : null,
    n_documents: report.nDocuments,
    figures: reportFigures(report),
    not_defined: Object.keys(snakeCaseKeys({ ...report.figures })).filter(
      (name) => !(name in reportFigures(report)),
    ),
    intervals: intervals ? snakeCaseKeys(intervals) : null,
    tokens_behind: snakeCaseKeys(
      Object.fromEntries(
        Object.keys(report.figures).map((name) => [name, tokensBehind(name, report.counts)]),
      ),
    ),
    density_histogram: snakeCaseKeys({ ...densityHistogram(report.densities) }),
    clusters: snakeCaseKeys({
      ...clusterCounts,
      valley,
      liveCentre: liveCentre && snakeCaseKeys({ ...liveCentre }),
      ultralowCentre: ultralowCentre && snakeCaseKeys({ ...ultralowCentre }),
    }),
    decoder_cosines: { ...snakeCaseKeys(shares), histogram },
    by_position: report.byPosition.map(groupJson),
    by_source: report.bySource.map(groupJson),
    latents: {
      densities: Array.from(report.densities),
      encoder_biases: rounded(encoderBiases),
      encoder_decoder_products: rounded(encoderDecoderProducts),
      nearest_cosines: rounded(nearestCosines),
    },
  };
}

function groupJson({ name, counts, figures }: GroupFigures): Record<string, unknown> {
  return { name, counts, figures: defined(figures) };
}

/** f32 figures in as few digits as they have. */
function rounded(values: Float64Array): number[] {
  return Array.from(values, (value) => Number(value.toPrecision(7)));
}

/** Write `evaluation.json` into a folder. */
export async function writeReport(
  folder: string,
  report: EvaluationReport,
  provenance: Provenance,
): Promise<string> {
  const path = join(folder, REPORT_FILE);
  await writeJson(path, reportJson(report, provenance));
  return path;
}

/** A report as it is on disk, without the figures of every latent. */
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
