export { type EvaluateInput, evaluateDictionary } from './evaluate.ts';
export { type EvaluateRowsInput, evaluateRows } from './evaluate-rows.ts';
export { type EvaluationReport, type GroupFigures, intervalNote } from './evaluation-report.ts';
export {
  bootstrapIntervals,
  type Interval,
  meanInterval,
  MIN_BLOCKS,
  quantiles,
  RESAMPLES,
} from './bootstrap.ts';
export { type DensityClusters, densityClusters } from './clusters.ts';
export { type DensityHistogram, densityHistogram } from './density-histogram.ts';
export { type DirectionFigures, directionFigures } from './directions.ts';
export { expectAutoencoder } from './expect-reconstructs.ts';
export { FIGURE_HEADER, figureRows, hasDownstream } from './figure-rows.ts';
export type { DownstreamFigures, ReconstructionFigures, TokenFigures } from './figures.ts';
export type { ProgressFile } from './progress-file.ts';
export { type Provenance, readReport, reportFigures, type StoredReport, writeReport } from './report.ts';
export { densitySection, NOT_RUN_ON, writeReportPage } from './report-page.ts';
export { type Share, shareOf } from './share.ts';
export { type DensityFigures, ReconstructionSums } from './reconstruction.ts';
