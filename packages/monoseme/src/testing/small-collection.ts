import { join } from 'node:path';
import { type Dictionary, saveDictionary, weightsFile } from '../dictionary/index.ts';
import { sha256File } from '../formats/index.ts';
import { buildSmallIndex, SMALL_D_SAE, smallDictionary } from './small-index.ts';

/** Two inputs of the small model in one direction: its children in the small dictionary are `2j` and `2j + 1`. */
function coarseDictionary(): Dictionary {
  return dictionaryOf(SMALL_D_SAE / 2, (latent, input) =>
    Math.floor(input / 2) === latent ? Math.SQRT1_2 : 0,
  );
}

/** Each input in two directions near to each other: latents `2i` and `2i + 1` are children of the small one's `i`. */
function fineDictionary(): Dictionary {
  return dictionaryOf(2 * SMALL_D_SAE, (latent, input) => {
    const own = Math.floor(latent / 2);
    if (input === own) return 1;
    return latent % 2 === 1 && input === (own + 1) % SMALL_D_SAE ? 0.4 : 0;
  });
}

function dictionaryOf(dSae: number, direction: (latent: number, input: number) => number): Dictionary {
  const { config, weights } = smallDictionary();
  const dIn = config.dIn;
  const rows = () =>
    Float32Array.from({ length: dSae * dIn }, (_, i) => direction(Math.floor(i / dIn), i % dIn));
  return {
    config: { ...config, dSae },
    weights: { ...weights, W_enc: rows(), W_dec: rows(), b_enc: new Float32Array(dSae) },
  };
}

/** Names of the members of {@link buildSmallCollection}, by the number of their latents. */
export const SMALL_MEMBERS = ['coarse', 'small', 'fine'] as const;

/** Three dictionaries of the same activations, of 12, 24 and 48 latents, each in a folder with its index. */
export async function buildSmallCollection(folder: string): Promise<void> {
  const dictionaries = { coarse: coarseDictionary(), small: smallDictionary(), fine: fineDictionary() };
  const figures = { coarse: [2.5, 0.8], small: [3.25, 0.95], fine: [5.5, 0.94] };
  for (const name of SMALL_MEMBERS) {
    const dictionary = join(folder, name);
    await saveDictionary(dictionary, dictionaries[name]);
    await buildSmallIndex(join(dictionary, 'index'), {
      dictionary: dictionaries[name],
      madeFrom: { dictionary: await sha256File(await weightsFile(dictionary)) },
      evaluation: { l0: figures[name][0], ce_loss_score: figures[name][1], explained_variance: 0.9 },
    });
  }
}
