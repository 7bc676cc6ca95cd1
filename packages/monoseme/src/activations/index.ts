export { alignedSource } from './aligned-source.ts';
export { MixingBuffer, type MixingOptions } from './mixing-buffer.ts';
export { modelSource } from './model-source.ts';
export { type ActivationSource, totalRows } from './source.ts';
export { ActivationStore } from './store.ts';
export type { WriteStoreOptions } from './write-store.ts';
export { type BatchStream, SharedBatches, type SharedReader } from './shared-batches.ts';
