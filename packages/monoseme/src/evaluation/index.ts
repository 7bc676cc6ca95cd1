export { type EvaluateInput, type EvaluationReport, evaluateDictionary } from './evaluate.ts';
export { type DensityHistogram, densityHistogram } from './density-histogram.ts';
export { readReport, reportFigures, type StoredReport, writeReport } from './report.ts';
export { type ReconstructionFigures, ReconstructionSums } from './reconstruction.ts';
