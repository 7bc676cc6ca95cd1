import type { ActivationSource } from '../activations/index.ts';
import type { TokenSet } from '../corpus/index.ts';
import type { Dictionary } from '../dictionary/index.ts';
import {
  type BuildFeatureIndexInput,
  type BuiltIndex,
  buildFeatureIndex,
  type TokenTexts,
} from '../features/index.ts';
import { selectBackend } from '../kernels/index.ts';
import { Random } from '../random/index.ts';

const WORDS =
  ' the| a| cat| dog| whale| sat| ran| swam| on| under| mat| sea| sun| moon| old| new|.|,|!| <b>| "&'.split(
    '|',
  );
const ENCODER = new TextEncoder();
/** Line break, and a letter whose two bytes are two tokens. */
const TOKENS: readonly Uint8Array[] = [
  ENCODER.encode('<|endoftext|>'),
  ENCODER.encode('\n'),
  Uint8Array.of(0xc3),
  Uint8Array.of(0xa9),
  ...WORDS.map((word) => ENCODER.encode(word)),
];

export const smallTokenizer: TokenTexts = {
  vocabSize: TOKENS.length,
  tokenBytes: (id) => TOKENS[id],
  tokenText: (id) =>
    TOKENS[id].length === 1 && TOKENS[id][0] > 127
      ? `\\x${TOKENS[id][0].toString(16)}`
      : new TextDecoder().decode(TOKENS[id]),
};

export function smallToken(text: string): number {
  return 4 + WORDS.indexOf(text);
}

/** Documents of sentences, with some accented letters, drawn with a seed. */
export function smallText(nContexts: number, contextSize: number, seed = 1): TokenSet {
  const random = new Random(seed);
  const total = nContexts * contextSize;
  const tokens = new Uint32Array(total);
  const documents: TokenSet['documents'] = [];
  let at = 0;
  while (at < total) {
    const start = at;
    tokens[at++] = 0;
    const length = 40 + random.integer(80);
    while (at < total && at - start < length) {
      const kind = random.integer(14);
      if (kind === 0) tokens[at++] = 1;
      else if (kind === 1 && (at + 1) % contextSize !== 0) {
        tokens[at++] = 2;
        tokens[at++] = 3;
      } else tokens[at++] = 4 + random.integer(WORDS.length);
    }
    const source = documents.length % 2 === 0 ? 'stories' : 'letters';
    documents.push({ id: `${source}/${documents.length}`, source, start, length: at - start });
  }
  return { tokens, contextSize, nContexts, documents };
}

/** Latents of the small dictionary, by what they fire on. */
export const SMALL_LATENTS = {
  cat: 0,
  dogAfterThe: 1,
  afterWhale: 2,
  accent: 3,
  silent: 4,
  contexts: 5,
} as const;
export const SMALL_D_SAE = 24;

/** Activation of a latent at a token: what the small model computes. */
export function smallActivation({ tokens, contextSize }: TokenSet, latent: number, position: number): number {
  const token = tokens[position];
  const before = position % contextSize === 0 ? -1 : tokens[position - 1];
  const strength = 0.25 + ((position * 7919 + latent * 104729) % 1000) / 1000;
  const fires = [
    token === smallToken(' cat'),
    token === smallToken(' dog') && before === smallToken(' the'),
    before === smallToken(' whale'),
    token === 2 || token === 3,
    false,
    Math.floor(position / contextSize) % 5 === 0,
  ];
  const fired = latent < fires.length ? fires[latent] : token === latent - fires.length;
  return fired ? strength * (1 + latent) : 0;
}

/** A dictionary that passes its input through: latent j is input j. Directions 6 and 7 are close. */
export function smallDictionary(): Dictionary {
  const n = SMALL_D_SAE;
  const identity = () => Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
  const W_dec = identity();
  W_dec[6 * n + 7] = 0.5;
  return {
    config: {
      architecture: 'standard',
      dIn: n,
      dSae: n,
      hookName: 'blocks.0.mlp.hook_post',
      modelName: 'small-model',
      contextSize: undefined,
      applyBDecToInput: false,
      metadata: {},
    },
    weights: { W_enc: identity(), b_enc: new Float32Array(n), W_dec, b_dec: new Float32Array(n) },
  };
}

export function smallSource(tokenSet: TokenSet, contextsPerChunk = 8): ActivationSource {
  const { contextSize, nContexts } = tokenSet;
  const contextsOf = (chunk: number) => Math.min(contextsPerChunk, nContexts - chunk * contextsPerChunk);
  return {
    dIn: SMALL_D_SAE,
    contextSize,
    nChunks: Math.ceil(nContexts / contextsPerChunk),
    description: 'small',
    hash: '00',
    chunkRows: (chunk) => contextsOf(chunk) * contextSize,
    async readChunk(chunk) {
      const first = chunk * contextsPerChunk * contextSize;
      return Float32Array.from({ length: contextsOf(chunk) * contextSize * SMALL_D_SAE }, (_, i) =>
        smallActivation(tokenSet, i % SMALL_D_SAE, first + Math.floor(i / SMALL_D_SAE)),
      );
    },
  };
}

/** Latent 0 raises " sat" by 2 and lowers the full stop by 1; the others add a little noise. */
export function smallJacobian(): Float32Array {
  const random = new Random(5);
  const jacobian = Float32Array.from({ length: SMALL_D_SAE * TOKENS.length }, () => 0.1 * random.normal());
  jacobian[smallToken(' sat')] = 2;
  jacobian[smallToken('.')] = -1;
  return jacobian;
}

/** Build the small index with the reference kernels. A text that is not in memory needs a source of its own. */
export async function buildSmallIndex(
  out: string,
  changes: Partial<BuildFeatureIndexInput> = {},
): Promise<BuiltIndex> {
  const tokenSet = changes.tokenSet ?? smallText(60, 64);
  return buildFeatureIndex({
    out,
    dictionary: smallDictionary(),
    backend: await selectBackend({ name: 'reference' }),
    source: changes.source ?? smallSource(tokenSet as TokenSet),
    tokenSet,
    tokenizer: smallTokenizer,
    jacobian: smallJacobian(),
    evaluation: { l0: 3.25, explained_variance: 0.875, ce_loss_score: 0.95 },
    seed: 1,
    ...changes,
  });
}
