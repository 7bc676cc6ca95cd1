export {
  type Dictionary,
  type DictionaryConfig,
  type Weights,
  centered,
  decode,
  encode,
  inferenceSelection,
} from './dictionary.ts';
export { loadDictionary, saveDictionary } from './saelens.ts';
