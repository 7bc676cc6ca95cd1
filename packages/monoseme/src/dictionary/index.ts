export {
  type Dictionary,
  type DictionaryConfig,
  type DictionaryForm,
  type EncoderKind,
  type Weights,
  centered,
  decode,
  encode,
  inferenceSelection,
} from './dictionary.ts';
export type {
  Architecture,
  ArchitectureSettings,
  Gradients,
  Start,
  Step,
  StepSums,
  TrainingDefaults,
} from './architecture.ts';
export { ARCHITECTURES, architectureNamed } from './architectures.ts';
export { foldDecoderNorms, foldInputScale } from './fold.ts';
export { standard } from './standard.ts';
export { loadDictionary, weightsFile } from './load.ts';
export { saveDictionary } from './saelens.ts';
export { saveGemmaScope } from './gemma-scope.ts';
export { saveSparsify } from './sparsify.ts';
