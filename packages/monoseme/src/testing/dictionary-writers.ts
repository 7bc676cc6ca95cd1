import { join } from 'node:path';
import {
  type Dictionary,
  saveDictionary,
  saveDictionaryLearning,
  saveGemmaScope,
  saveSparsify,
} from '../dictionary/index.ts';

/** Every format that is written and read, into a folder. */
export const WRITERS = {
  saelens: saveDictionary,
  sparsify: saveSparsify,
  'gemma-scope': (folder: string, dictionary: Dictionary) =>
    saveGemmaScope(join(folder, 'params.npz'), dictionary),
  'dictionary-learning': saveDictionaryLearning,
};

/** Whether a format can hold a dictionary. */
export function hasPlace(format: string, { config }: Dictionary): boolean {
  const { normalization, targetHookName, architecture } = config;
  if (format === 'saelens') return true;
  if (config.pursuit) return false;
  if (format === 'sparsify') return normalization === undefined && architecture === 'topk';
  const isPlain = normalization === undefined && targetHookName === undefined;
  return isPlain && (format === 'dictionary-learning' || config.architecture !== 'topk');
}

/** Whether writing it needs the input's centre to be folded into a bias, or the decoder's lengths on reading. */
export function isFolded(format: string, { config }: Dictionary): boolean {
  const { architecture, applyBDecToInput } = config;
  if (format === 'gemma-scope') return applyBDecToInput || architecture === 'gated';
  if (format === 'sparsify') return !applyBDecToInput;
  if (format === 'saelens') return false;
  return architecture === 'jumprelu' ? applyBDecToInput : !applyBDecToInput && architecture !== 'standard';
}
