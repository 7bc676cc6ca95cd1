export {
  type CrosscoderSource,
  type Dictionary,
  type DictionaryConfig,
  type DictionaryForm,
  type EncoderKind,
  type Weights,
  centered,
  decode,
  encode,
  inferenceSelection,
  outputWidth,
} from './dictionary.ts';
export type {
  Architecture,
  ArchitectureSettings,
  Gradients,
  RowKind,
  Start,
  Step,
  StepSums,
  TrainingDefaults,
} from './architecture.ts';
export { ARCHITECTURES, architectureNamed } from './architectures.ts';
export { foldDecoderNorms, foldInputScale, rowNorms, type ScaledColumns } from './fold.ts';
export { differenceScores, sourceNorms } from './source-norms.ts';
export { onePairEach, plus } from './sparse-sum.ts';
export { oneFullRow } from './sub-codes.ts';
export { standard } from './standard.ts';
export { EPSILON, normalizedRows, type RowNormalization, rowUnits } from './row-normalization.ts';
export { CHECKPOINT_DICTIONARY, formatOf, loadDictionary, localDictionary, weightsFile } from './load.ts';
export { type Claims, claimsOf, doubtsOf } from './claims.ts';
export { expectDictionaryLearning, saveDictionaryLearning } from './dictionary-learning.ts';
export { saveDictionary } from './saelens.ts';
export { expectGemmaScope, saveGemmaScope } from './gemma-scope.ts';
export { expectSparsify, saveSparsify } from './sparsify.ts';
export { type Neighbours, nearestDirections, nearestLatents, unitRows } from './nearest-latents.ts';
export { type WeightFigures, weightFigures } from './weight-figures.ts';
