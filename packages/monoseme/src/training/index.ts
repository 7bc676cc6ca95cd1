export { DEFAULT_OPTIONS, PRESETS, type TrainOptions, checkOptions } from './options.ts';
export { type StepMetrics } from './metrics.ts';
export { type TrainInput, type TrainResult, trainDictionary } from './train.ts';
export { trainingBytes } from './memory.ts';
