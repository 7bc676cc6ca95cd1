export {
  type EvaluateInput,
  evaluateDictionary,
  type EvaluationReport,
  type GroupFigures,
  intervalNote,
} from './evaluate.ts';
export { bootstrapIntervals, type Interval, MIN_BLOCKS, quantiles, RESAMPLES } from './bootstrap.ts';
export { type DensityClusters, densityClusters } from './clusters.ts';
export { type DensityHistogram, densityHistogram } from './density-histogram.ts';
export { type DirectionFigures, directionFigures } from './directions.ts';
export { FIGURE_HEADER, figureRows } from './figure-rows.ts';
export type { DownstreamFigures, ReconstructionFigures, TokenFigures } from './figures.ts';
export type { ProgressFile } from './progress-file.ts';
export { type Provenance, readReport, reportFigures, type StoredReport, writeReport } from './report.ts';
export { densitySection, writeReportPage } from './report-page.ts';
export { type Share, shareOf } from './share.ts';
export { type DensityFigures, ReconstructionSums } from './reconstruction.ts';
