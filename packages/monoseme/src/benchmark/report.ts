import type { Analysis } from '../analysis/index.ts';
import { snakeCase } from '../formats/index.ts';
import type { ReportSection } from '../report/index.ts';
import type { LetterAbsorptions } from './absorption.ts';
import type { MinimumDescription } from './description-length.ts';
import {
  absorptionSection,
  descriptionSection,
  perturbationSection,
  probingSection,
  removalSection,
  stabilitySection,
} from './sections.ts';
import type { SparseProbing } from './sparse-probing.ts';
import type { SpuriousCorrelation } from './spurious-correlation.ts';
import type { Stability } from './stability.ts';
import type { TargetedPerturbation } from './targeted-perturbation.ts';

/** What was measured, by measure; a measure that did not run is absent. */
export interface BenchmarkResults {
  readonly sparseProbing?: SparseProbing;
  readonly targetedPerturbation?: TargetedPerturbation;
  readonly spuriousCorrelation?: SpuriousCorrelation;
  readonly absorption?: LetterAbsorptions;
  readonly descriptionLength?: MinimumDescription;
  readonly stability?: Stability;
}

/** A measure that did not run, and why. */
export interface SkippedMeasure {
  readonly measure: string;
  readonly why: string;
}

const SECTIONS: {
  readonly [M in keyof BenchmarkResults]-?: (result: NonNullable<BenchmarkResults[M]>) => ReportSection;
} = {
  sparseProbing: probingSection,
  targetedPerturbation: perturbationSection,
  spuriousCorrelation: removalSection,
  absorption: absorptionSection,
  descriptionLength: descriptionSection,
  stability: stabilitySection,
};

/**
 * The results as JSON and as a report; docs/evaluation.md describes both.
 *
 * @param subject what was measured, in words
 */
export function benchmarkReport(
  subject: string,
  results: BenchmarkResults,
  skipped: readonly SkippedMeasure[],
): Analysis {
  const sections = Object.entries(SECTIONS).flatMap(([measure, section]) => {
    const result = results[measure as keyof BenchmarkResults];
    return result === undefined ? [] : [(section as (result: unknown) => ReportSection)(result)];
  });
  const overview: ReportSection = {
    title: 'Results',
    tables: [{ header: ['measure', 'result'], rows: sections.map(({ title, text }) => [title, text![0]]) }],
  };
  const notRun: ReportSection = {
    title: 'Not measured',
    tables: [{ header: ['measure', 'why'], rows: skipped.map(({ measure, why }) => [measure, why]) }],
  };
  return {
    name: 'benchmark',
    title: 'Benchmark of a dictionary',
    summary: subject,
    json: { subject, results: json(results) as object, skipped },
    sections: [overview, ...sections, ...(skipped.length === 0 ? [] : [notRun])],
  };
}

/** Keys in snake_case all the way down, typed arrays as lists, null for what is not defined. */
function json(value: unknown): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (value === undefined || value === null) return null;
  if (ArrayBuffer.isView(value)) return Array.from(value as Float32Array, json);
  if (Array.isArray(value)) return value.map(json);
  if (typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [snakeCase(key), json(part)]));
}
