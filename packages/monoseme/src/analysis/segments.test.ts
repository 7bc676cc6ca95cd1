import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TokenSet } from '../corpus/index.ts';
import { selectBackend } from '../kernels/index.ts';
import { Random } from '../random/index.ts';
import {
  SMALL_D_SAE,
  SMALL_LATENTS,
  smallDictionary,
  smallJacobian,
  smallSource,
  smallText,
  smallTokenizer,
} from '../testing/small-index.ts';
import {
  alignTokens,
  type CutText,
  matchSimilarity,
  universality,
  universalityAnalysis,
  universalityBySegment,
} from './index.ts';

/** A text cut as given: `#` is a special token, everything else stands for itself. */
function cut(documents: readonly (readonly string[])[]): CutText {
  const names = [...new Set(documents.flat())];
  const spans = [];
  let start = 0;
  for (const [i, document] of documents.entries()) {
    spans.push({ id: `${i}`, source: 's', start, length: document.length });
    start += document.length;
  }
  return {
    tokens: {
      tokens: Uint32Array.from(documents.flat(), (name) => names.indexOf(name)),
      ...{ contextSize: 1, nContexts: start, documents: spans },
    },
    vocabulary: {
      vocabSize: names.length,
      tokenBytes: (id) => new TextEncoder().encode(names[id]),
      specialIds: names.includes('#') ? [names.indexOf('#')] : [],
    },
  };
}

function aligned(a: readonly (readonly string[])[], b: readonly (readonly string[])[]) {
  const { ofTokens, n } = alignTokens(cut(a), cut(b));
  return [[...ofTokens[0]], [...ofTokens[1]], n];
}

test('pieces reach from one common cut to the next; special tokens are of none', () => {
  assert.deepEqual(aligned([['#', 'whale', 's', ' é']], [['wh', 'ales', ' ', 'é']]), [
    [-1, 0, 0, 1],
    [0, 0, 1, 1],
    2,
  ]);
});

test('a document goes as far as both sides have it and say the same', () => {
  // The second is shorter in b, the third is lower case there, the fourth begins with a space of SentencePiece's.
  const a = [['ab'], ['a', 'b', 'c'], ['x', 'Y', 'z'], ['t', 'he']];
  const b = [['a', 'b'], ['a', 'b'], ['x', 'y', 'z'], [' the']];
  assert.deepEqual(aligned(a, b), [[0, 1, 2, -1, 3, -1, -1, 4, 4], [0, 0, 1, 2, 3, -1, -1, 4], 5]);
  assert.throws(() => aligned([['a']], [['b']]), { code: 'ERR_MISMATCH' });
});

test('a document that only one side has takes no part', () => {
  const [a, b] = [cut([['a'], ['b'], ['c']]), cut([['b'], ['c']])];
  b.tokens.documents.forEach((document, i) => (document.id = `${i + 1}`));
  const { ofTokens, n } = alignTokens(a, b);
  assert.deepEqual([[...ofTokens[0]], [...ofTokens[1]], n], [[-1, 0, 1], [0, 1], 2]);
});

const vocabulary = { ...smallTokenizer, specialIds: [0] };

/** Every " the" that another token follows in its context, as one token with it: tokens of its own vocabulary. */
function merged(text: TokenSet): { cut: CutText; origin: Uint32Array } {
  const the = 4;
  const origin: number[] = [];
  const tokens: number[] = [];
  const documents = text.documents.map((document) => {
    const start = tokens.length;
    for (let at = document.start; at < document.start + document.length; at++) {
      const joins =
        text.tokens[at] === the && at + 1 < document.start + document.length && text.tokens[at + 1] > 3;
      if (joins) at++;
      tokens.push(text.tokens[at] + (joins ? 100 : 0));
      origin.push(at);
    }
    return { ...document, start, length: tokens.length - start };
  });
  const contextSize = 4;
  const total = tokens.length - (tokens.length % contextSize);
  return {
    origin: Uint32Array.from(origin),
    cut: {
      tokens: {
        tokens: Uint32Array.from(tokens.slice(0, total)),
        ...{ contextSize, nContexts: total / contextSize },
        documents: documents
          .filter(({ start }) => start < total)
          .map((document) => ({ ...document, length: Math.min(document.length, total - document.start) })),
      },
      vocabulary: {
        ...{ vocabSize: 200, specialIds: [0] },
        tokenBytes: (id) =>
          id < 100
            ? smallTokenizer.tokenBytes(id)
            : Buffer.concat([smallTokenizer.tokenBytes(the), smallTokenizer.tokenBytes(id - 100)]),
      },
    },
  };
}

test('with one tokenizer matches by pieces are those by tokens', async () => {
  const backend = await selectBackend({ name: 'reference' });
  const tokens = smallText(60, 64);
  const text = { dictionary: smallDictionary(), source: smallSource(tokens, 7) };
  const segments = alignTokens({ tokens, vocabulary }, { tokens, vocabulary });
  const separators = tokens.tokens.filter((token) => token === 0).length;
  assert.equal(segments.n, tokens.tokens.length - separators);
  const [byToken, byPiece] = [
    await universality(text, text, { backend }),
    await universalityBySegment([text, text], segments, { backend }),
  ];
  for (const side of ['latents', 'neurons'] as const) {
    assert.equal(byPiece[side].nTokens, segments.n);
    for (const [latent, { match, correlation }] of byPiece[side].matches.entries()) {
      if (latent === 6) continue; // fires on separators alone
      assert.equal(match, byToken[side].matches[latent].match, `${latent}`);
      if (match !== undefined) assert.ok(Math.abs(correlation! - 1) < 1e-9, `${latent} ${correlation}`);
    }
  }
});

test('with another tokenizer a latent still finds itself, chunks and contexts being cut elsewhere', async () => {
  const backend = await selectBackend({ name: 'reference' });
  const tokens = smallText(240, 64);
  const { cut: other, origin } = merged(tokens);
  const text = { dictionary: smallDictionary(), source: smallSource(tokens, 7) };
  const whole = await text.source.readChunk(0);
  const { dIn } = text.source;
  const rows: Float32Array[] = [];
  for (let chunk = 0; chunk < text.source.nChunks; chunk++) rows.push(await text.source.readChunk(chunk));
  const all = Float32Array.from(rows.flatMap((part) => [...part]));
  assert.deepEqual(all.subarray(0, whole.length), whole);
  const { contextSize, nContexts } = other.tokens;
  // The model of the other tokenizer says of a token what the first one says of its last part.
  const source = {
    ...text.source,
    ...{ contextSize, nChunks: nContexts, chunkRows: () => contextSize },
    readChunk: async (chunk: number) =>
      Float32Array.from({ length: contextSize * dIn }, (_, i) => {
        const token = chunk * contextSize + Math.floor(i / dIn);
        return all[origin[token] * dIn + (i % dIn)];
      }),
  };
  const segments = alignTokens({ tokens, vocabulary }, other);
  const pair = [text, { dictionary: smallDictionary(), source }] as const;
  const { latents } = await universalityBySegment(pair, segments, { backend });
  // " dog" behind " the": its tokens are joined, and it is as active on the piece as before.
  const [dog] = [latents.matches[1]];
  assert.equal(dog.match, 1);
  assert.ok(Math.abs(dog.correlation! - 1) < 1e-6, `${dog.correlation}`);
  assert.ok(latents.median! > 0.9, `${latents.median}`);
  const report = universalityAnalysis({ latents, unit: 'pieces of text' });
  assert.match(report.sections[0].text![1], /tokenizers differ/);
  assert.doesNotMatch(JSON.stringify(report), /NaN|undefined/);
});

test('two dictionaries over different text, or over activations of another width, are refused', async () => {
  const backend = await selectBackend({ name: 'reference' });
  const dictionary = smallDictionary();
  const text = { dictionary, source: smallSource(smallText(20, 64)) };
  const longer = { dictionary, source: smallSource(smallText(40, 64)) };
  const message = /over different texts: .*; /;
  await assert.rejects(universality(text, longer, { backend }), { code: 'ERR_MISMATCH', message });
  const wider = { dictionary, source: { ...text.source, dIn: text.source.dIn + 1 } };
  const widths = { code: 'ERR_MISMATCH', message: /reads \d+ inputs/ };
  await assert.rejects(universality(text, wider, { backend }), widths);
});

test('what matches do: the same latents do the same, and a reversed effect shows', async () => {
  const backend = await selectBackend({ name: 'reference' });
  const tokens = smallText(60, 64);
  const source = smallSource(tokens);
  const text = { dictionary: smallDictionary(), source };
  const { latents } = await universality(text, text, { backend });
  const own = smallJacobian();
  const reversed = own.map((value, i) => (Math.floor(i / smallTokenizer.vocabSize) === 0 ? -value : value));
  const found = await matchSimilarity([text, text], tokens.tokens, [own, reversed], latents, { backend });
  assert.equal(found.nTokens, tokens.tokens.length);
  assert.equal(found.nVocabulary, new Set(tokens.tokens).size);
  for (const { latent, match, logitWeights, attributions } of found.pairs) {
    assert.equal(match, latent);
    const expected = latent === 0 ? -1 : 1;
    assert.ok(Math.abs(logitWeights - expected) < 1e-5, `${latent} ${logitWeights}`);
    // Undefined where the only token that follows has the median weight.
    if (attributions !== undefined)
      assert.ok(Math.abs(attributions - expected) < 0.2, `${latent} ${attributions}`);
  }
  assert.ok(found.pairs.filter(({ attributions }) => attributions !== undefined).length > 15);
  const report = universalityAnalysis({ latents, unit: 'tokens', similarity: found });
  assert.equal(report.sections.length, 2);
  assert.doesNotMatch(JSON.stringify(report), /NaN|undefined/);
});

test('attributions are those of the definition', async () => {
  const backend = await selectBackend({ name: 'reference' });
  const tokens = smallText(20, 64);
  const source = smallSource(tokens);
  const text = { dictionary: smallDictionary(), source };
  const { latents } = await universality(text, text, { backend });
  const random = new Random(3);
  const jacobians = [smallJacobian(), smallJacobian().map(() => random.normal())] as const;
  const { pairs } = await matchSimilarity([text, text], tokens.tokens, jacobians, latents, { backend });
  const activations: number[] = [];
  for (let chunk = 0; chunk < source.nChunks; chunk++) activations.push(...(await source.readChunk(chunk)));
  const occurring = [...new Set(tokens.tokens)];
  const latent = SMALL_LATENTS.cat;
  const [a, b] = jacobians.map((jacobian) => {
    const weights = new Map(
      occurring.map((token) => [token, jacobian[latent * smallTokenizer.vocabSize + token]]),
    );
    const median = [...weights.values()].sort((x, y) => x - y)[weights.size >> 1];
    return Array.from(tokens.tokens, (_, t) =>
      (t + 1) % tokens.contextSize === 0
        ? 0
        : activations[t * SMALL_D_SAE + latent] * (weights.get(tokens.tokens[t + 1])! - median),
    );
  });
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const covariance = (x: number[], y: number[]) =>
    mean(x.map((value, i) => value * y[i])) - mean(x) * mean(y);
  const expected = covariance(a, b) / Math.sqrt(covariance(a, a) * covariance(b, b));
  assert.ok(Math.abs(expected) < 0.9, 'the two do not do the same');
  assert.ok(Math.abs(pairs.find((pair) => pair.latent === latent)!.attributions! - expected) < 1e-5);
});
