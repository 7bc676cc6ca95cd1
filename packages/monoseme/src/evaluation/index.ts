export { type EvaluateInput, type EvaluationReport, evaluateDictionary } from './evaluate.ts';
export { type DensityHistogram, densityHistogram } from './density-histogram.ts';
export { readReportFigures, reportFigures, writeReport } from './report.ts';
export { type ReconstructionFigures, ReconstructionSums } from './reconstruction.ts';
