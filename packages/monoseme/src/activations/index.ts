export { arraySource, type ArraySourceOptions, coordinatesOf } from './array-source.ts';
export { alignedSource } from './aligned-source.ts';
export { columnsOf, sideBySide } from './columns.ts';
export { MixingBuffer, type MixingOptions } from './mixing-buffer.ts';
export type { MixingFigures } from './mixing-statistic.ts';
export { modelSource } from './model-source.ts';
export { type StoreDtype, STORE_DTYPES } from './encoding.ts';
export {
  expectRowNumbers,
  gatherRows,
  type LeftOut,
  leftOutOf,
  readLeftOut,
  rowNorms,
  type RowOptions,
  selectTokens,
} from './row-selection.ts';
export { type ActivationSource, type DroppedRows, type SourceRows, totalRows } from './source.ts';
export { sourceText, sourceTextInFile } from './source-text.ts';
export { ActivationStore } from './store.ts';
export type { WriteStoreOptions } from './write-store.ts';
export { type BatchStream, SharedBatches, type SharedReader } from './shared-batches.ts';
export { type ImportOptions, importStore } from './import/import-store.ts';
export { storedBytes } from './expect-space.ts';
export { readAhead } from './read-ahead.ts';
