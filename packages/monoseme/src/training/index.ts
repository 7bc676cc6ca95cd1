export { type HookPoint } from './finished-dictionary.ts';
export { CHOICES, DEFAULT_OPTIONS, type TrainOptions, checkOptions } from './options.ts';
export { PRESETS, resolveOptions } from './presets.ts';
export { type StepMetrics } from './metrics.ts';
export { type TrainInput, type TrainResult, trainDictionary } from './train.ts';
export { withSpelling } from './spelling.ts';
export { machineBytes, trainingBytes } from './memory.ts';
export { type InMemoryInput, trainInMemory } from './train-in-memory.ts';
export type { StageSeconds } from './stage-clock.ts';
