import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TokenSet } from '../corpus/index.ts';
import { type Dictionary, saveDictionary, weightsFile } from '../dictionary/index.ts';
import type { TokenTexts } from '../features/index.ts';
import { sha256File, writeJson } from '../formats/index.ts';
import {
  buildSmallIndex,
  SMALL_D_SAE,
  smallActivation,
  smallDictionary,
  smallSource,
  smallText,
  smallTokenizer,
} from './small-index.ts';

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

/** The small vocabulary with every token of three bytes and more cut in two: the first byte, and the rest. */
const cutTokenizer: TokenTexts = {
  vocabSize: 2 * smallTokenizer.vocabSize,
  tokenBytes: (id) => {
    const bytes = smallTokenizer.tokenBytes(id >> 1);
    if (!isCut(id >> 1)) return bytes;
    return id % 2 === 0 ? bytes.subarray(0, 1) : bytes.subarray(1);
  },
  tokenText(id) {
    return isCut(id >> 1) ? new TextDecoder().decode(this.tokenBytes(id)) : smallTokenizer.tokenText(id >> 1);
  },
};

/** The first token stands for no text and stays whole. */
function isCut(token: number): boolean {
  return token > 0 && smallTokenizer.tokenBytes(token).length > 2;
}

/** The small text as that vocabulary cuts it, and for each token the one that it is the end of, or −1. */
function cutText(text: TokenSet): { tokenSet: TokenSet; ends: Int32Array } {
  const [tokens, ends]: number[][] = [[], []];
  const documents = text.documents.map((document) => {
    const start = tokens.length;
    for (let place = document.start; place < document.start + document.length; place++) {
      const token = text.tokens[place];
      if (isCut(token)) {
        tokens.push(2 * token);
        ends.push(-1);
      }
      tokens.push(2 * token + (isCut(token) ? 1 : 0));
      ends.push(place);
    }
    return { ...document, start, length: tokens.length - start };
  });
  const nContexts = Math.ceil(tokens.length / text.contextSize);
  const padded = new Uint32Array(nContexts * text.contextSize);
  padded.set(tokens);
  return {
    tokenSet: { tokens: padded, contextSize: text.contextSize, nContexts, documents },
    ends: Int32Array.from(padded, (_, i) => ends[i] ?? -1),
  };
}

/**
 * A dictionary of another model with another tokenizer, indexed on the same text, into `other/` of the collection, and an
 * analysis of universality that matches each latent of `small` with its own number there. It fires on the last token of
 * what the small one's fire on.
 */
export async function addOtherModel(folder: string): Promise<void> {
  const text = smallText(60, 64);
  const { tokenSet, ends } = cutText(text);
  const { config, weights } = smallDictionary();
  // Of other bytes, so that its hash tells it from the small one.
  const b_dec = new Float32Array(config.dIn).fill(0.5);
  const dictionary = { config: { ...config, modelName: 'other-model' }, weights: { ...weights, b_dec } };
  const out = join(folder, 'other');
  await saveDictionary(out, dictionary);
  const hashes: string[] = [];
  for (const name of ['small', 'other']) hashes.push(await sha256File(await weightsFile(join(folder, name))));
  await buildSmallIndex(join(out, 'index'), {
    dictionary,
    tokenSet,
    tokenizer: cutTokenizer,
    jacobian: undefined,
    source: {
      ...smallSource(tokenSet),
      async readChunk(chunk) {
        const first = chunk * 8 * tokenSet.contextSize;
        const rows = this.chunkRows(chunk);
        return Float32Array.from({ length: rows * SMALL_D_SAE }, (_, i) => {
          const place = ends[first + Math.floor(i / SMALL_D_SAE)];
          return place < 0 ? 0 : smallActivation(text, i % SMALL_D_SAE, place);
        });
      },
    },
    madeFrom: { dictionary: hashes[1] },
  });
  await mkdir(join(folder, 'analyses'), { recursive: true });
  await writeJson(join(folder, 'analyses/universality.json'), {
    analysis: 'universality',
    made_from: { dictionary: hashes[0], dictionary_2: hashes[1] },
    latents: { matches: Array.from({ length: SMALL_D_SAE }, (_, i) => (i === 4 ? null : [i, 1 - i / 100])) },
  });
}
