import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { TokenSet } from '../corpus/index.ts';
import { selectBackend } from '../kernels/index.ts';
import {
  smallActivation,
  smallDictionary,
  smallSource,
  smallText,
  smallTokenizer,
  smallToken,
} from '../testing/small-index.ts';
import { contextText, type TokenBytes } from './context-text.ts';
import { neurons, principalComponents, randomDirections } from './controls.ts';
import { eigenvectors } from './moments.ts';
import {
  DEFAULT_PROXIES,
  type Proxy,
  proxyAnalysis,
  ProxyScorer,
  searchProxies,
  writeAnalysis,
} from './index.ts';

/** One byte a token. */
const BYTES: TokenBytes = { vocabSize: 256, tokenBytes: (id) => Uint8Array.of(id) };

function textOf(text: string, source = 's'): TokenSet {
  const tokens = Uint32Array.from(new TextEncoder().encode(text));
  const documents = [{ id: source, source, start: 0, length: tokens.length }];
  return { tokens, contextSize: tokens.length, nContexts: 1, documents };
}

function scores(text: string, proxy: Proxy): number[] {
  const set = textOf(text);
  const { rowPointers, values } = new ProxyScorer([proxy], set, BYTES).score(0, set.tokens.length);
  return Array.from(set.tokens, (_, t) => (rowPointers[t + 1] > rowPointers[t] ? values[rowPointers[t]] : 0));
}

const proxyNamed = (name: string) => DEFAULT_PROXIES.find((proxy) => proxy.name === name)!;

test('text is decoded as UTF-8 and every byte knows its character', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const { tokens } = textOf(text);
      const context = contextText(tokens, BYTES);
      assert.equal(
        context.text,
        new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(tokens)),
      );
      let joined = '';
      tokens.forEach((_, t) => {
        if (t === 0 || context.starts[t] !== context.starts[t - 1])
          joined += context.text.slice(context.starts[t], context.ends[t]);
      });
      assert.equal(joined, context.text);
    }),
  );
});

test('broken bytes are one replacement each, and nothing is lost', () => {
  const tokens = Uint32Array.of(0x41, 0xd8, 0x41, 0xff, 0xe0, 0x80, 0x80, 0xc3, 0xa9, 0xf0);
  assert.equal(contextText(tokens, BYTES).text, 'A\ufffdA\ufffd\ufffd\ufffd\ufffdé\ufffd');
});

test('a script: its letters score by how rare it is, others not at all', () => {
  const found = scores('ab اب cd', proxyNamed('Arabic'));
  const arabic = found.filter((score) => score > 0);
  // Two letters of two bytes each among eleven bytes.
  assert.equal(arabic.length, 4);
  for (const score of arabic) assert.ok(Math.abs(score - Math.log(10 / 4)) < 1e-6, `${score}`);
  assert.equal(found[0], 0);
});

test('a script: whole characters count in full, parts of one by how often they are of the script', () => {
  // ΰ and а end with the same byte: 13 tokens, 4 of them Greek, and 2 of the 6 last bytes.
  const found = scores('ΰΰ аааа', proxyNamed('Greek'));
  const [whole, shared] = [Math.log(13 / 4), Math.log(2 / 6 / (4 / 13))];
  const expected = [whole, whole, whole, whole, 0, ...Array.from({ length: 4 }, () => [0, shared]).flat()];
  found.forEach((score, t) => assert.ok(Math.abs(score - expected[t]) < 1e-6, `${t}: ${score}`));
});

test('a script that the counted tokens lack scores nothing, not infinity', () => {
  const set = textOf(`${'a'.repeat(2 ** 20)}б`);
  const text = {
    ...set,
    contextSize: 2 ** 10,
    nContexts: 2 ** 10 + 1,
    tokens: new Uint32Array(2 ** 20 + 2 ** 10),
  };
  text.tokens.set(set.tokens);
  const { values } = new ProxyScorer([proxyNamed('Cyrillic')], text, BYTES).score(2 ** 20, 2 ** 10);
  assert.equal(values.length, 0);
});

test('formats are found where they are', () => {
  const shown = new Map(
    [
      'money',
      'dates',
      'coordinates',
      'snake case',
      'placeholders',
      'code fences',
      'HTML closing tags',
      'quotations',
    ].map((name) => {
      const text = 'On 3 May 1999 it cost $1.5 million at 12 30 N, 45 00 E: "a_b" {0} </p> ```';
      const { pattern } = proxyNamed(name) as Extract<Proxy, { kind: 'pattern' }>;
      return [name, [...text.matchAll(pattern)].map(([match]) => match)];
    }),
  );
  assert.deepEqual(Object.fromEntries(shown), {
    money: ['$1.5 million'],
    dates: ['3 May 1999'],
    coordinates: ['12 30 N, 45 00 E'],
    'snake case': ['a_b'],
    placeholders: ['{0}'],
    'code fences': ['```'],
    'HTML closing tags': ['</p>'],
    quotations: ['"a_b"'],
  });
});

test('an alphabet: the score is the best string that ends at the token', () => {
  const text = 'x--AGCTGGA tACG!';
  const characters = 'ACGT';
  const set = textOf(text);
  const counts = new Map<number, number>();
  for (const token of set.tokens) counts.set(token, (counts.get(token) ?? 0) + 1);
  const own = Array.from(set.tokens, (token, t) => {
    const word = text[t].replace(/^ /, '');
    const alphabet =
      word === '' ? Math.log(1e-10) : characters.includes(word) ? Math.log(1 / 4) : Math.log(1e-10);
    return word === '' ? alphabet : alphabet - Math.log(counts.get(token)! / set.tokens.length);
  });
  for (const minTokens of [1, 2] as const) {
    const found = scores(text, { kind: 'alphabet', name: 'x', characters, minTokens });
    found.forEach((score, end) => {
      let best = -Infinity;
      for (let start = 0; start + minTokens - 1 <= end; start++)
        best = Math.max(
          best,
          own.slice(start, end + 1).reduce((sum, value) => sum + value, 0),
        );
      assert.ok(Math.abs(score - Math.max(0, best)) < 1e-5, `${minTokens} ${end}: ${score} for ${best}`);
    });
  }
});

test('patterns mark the tokens they touch; sources theirs', () => {
  assert.deepEqual(scores('a 12,5 b', proxyNamed('numbers')), [0, 0, 1, 1, 1, 1, 0, 0]);
  assert.deepEqual(scores('x<b>y', proxyNamed('HTML tags')), [0, 1, 1, 1, 0]);
  assert.deepEqual(scores('ab', { kind: 'source', name: 'n', source: 's' }), [1, 1]);
  assert.deepEqual(scores('é1', { kind: 'pattern', name: 'accents', pattern: /é/g }), [1, 1, 0]);
});

test('proxies that cannot work are refused', () => {
  const one = proxyNamed('Arabic');
  assert.throws(() => new ProxyScorer([one, one], textOf('a'), BYTES), { code: 'ERR_OPTION' });
  assert.throws(() => new ProxyScorer([], textOf('a'), BYTES), { code: 'ERR_OPTION' });
  const pattern: Proxy = { kind: 'pattern', name: 'x', pattern: /a/ };
  assert.throws(() => new ProxyScorer([pattern], textOf('a'), BYTES), { code: 'ERR_OPTION' });
});

test('the search finds the planted latent, with its confusion grid; what is absent is marked', async () => {
  const tokens = smallText(60, 64);
  const backend = await selectBackend({ name: 'reference' });
  const cat: Proxy = { kind: 'pattern', name: 'cat', pattern: / cat/g };
  const absent: Proxy = { kind: 'pattern', name: 'absent', pattern: /zebra/g };
  const text = { dictionary: smallDictionary(), source: smallSource(tokens) };
  const search = await searchProxies(
    text,
    tokens,
    smallTokenizer,
    [cat, absent],
    { backend },
    {
      controls: [randomDirections(24, 24, 1)],
      latents: [0, 5, 4],
    },
  );
  const [found, none] = search.results;
  const cats = tokens.tokens.filter((token) => token === smallToken(' cat')).length;
  assert.equal(found.nTokens, cats);
  // Latent 0 and the latent of the token " cat" itself fire there and nowhere else.
  assert.deepEqual(found.latent!.confusion, {
    ...{ both: cats, activeOnly: 0, proxyOnly: 0, neither: tokens.tokens.length - cats },
  });
  assert.deepEqual(
    [found.latent!.specificity, found.latent!.weightedSpecificity, found.latent!.recall],
    [1, 1, 1],
  );
  assert.ok(found.latent!.correlation > 0.8);
  assert.ok(found.controls[0]!.correlation < found.latent!.correlation);
  // By hand: the activations of latent 5, which fires on every fifth context, split by the word.
  const [own, contexts, silent] = search.chosen;
  assert.deepEqual([own.fits[0].proxy, contexts.fits.length, silent.fits.length], ['cat', 1, 0]);
  assert.equal(silent.histogram, undefined);
  const { counts, mass, edges } = contexts.histogram!;
  const expected = [0, 0, 0, 0];
  tokens.tokens.forEach((token, t) => {
    const value = smallActivation(tokens, 5, t);
    const side = token === smallToken(' cat') ? 0 : 1;
    if (value > 0) expected[side]++;
    expected[2 + side] += value;
  });
  const sum = (values: Float64Array) => values.reduce((total, value) => total + value, 0);
  assert.deepEqual([sum(counts[0]), sum(counts[1])], expected.slice(0, 2));
  assert.ok(Math.abs(sum(mass[0]) - expected[2]) < 1e-3 && Math.abs(sum(mass[1]) - expected[3]) < 1e-2);
  assert.ok(Math.abs(edges.at(-1)! - contexts.fits[0].fit.largest) < 1e-6 && counts[1].at(-1)! > 0);
  assert.deepEqual(search.controlNames, ['random directions']);
  assert.deepEqual([none.nTokens, none.latent, none.neuron], [0, undefined, undefined]);

  const folder = await mkdtemp(join(tmpdir(), 'monoseme-analysis-'));
  try {
    const provenance = { madeFrom: { tokens: '00' }, backend: 'reference', seed: 0, command: 'x' };
    const paths = await writeAnalysis(folder, proxyAnalysis(search), provenance);
    const json = JSON.parse(await readFile(paths.json, 'utf8'));
    assert.equal(json.proxies[1].latent, null);
    assert.equal(json.proxies[0].latent.confusion.both, cats);
    assert.doesNotMatch(await readFile(paths.page, 'utf8'), /NaN|undefined/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('eigenvectors are those of a known matrix, the strongest first', () => {
  const { values, vectors } = eigenvectors(Float64Array.of(2, 1, 1, 2), 2);
  const [first, second] = vectors;
  assert.ok(Math.abs(values[0] - 3) < 1e-9 && Math.abs(values[1] - 1) < 1e-9);
  assert.ok(Math.abs(Math.abs(first[0] + first[1]) - Math.SQRT2) < 1e-9);
  assert.ok(Math.abs(second[0] + second[1]) < 1e-9);
});

test('controls: neurons pass through; principal components reconstruct from both directions', async () => {
  const tokens = smallText(8, 64);
  const source = smallSource(tokens);
  const { weights, config } = await principalComponents(source);
  assert.equal(config.dSae, 2 * source.dIn);
  for (const j of [0, 1]) {
    const row = weights.W_dec.subarray(j * source.dIn, (j + 1) * source.dIn);
    assert.ok(Math.abs(row.reduce((sum, value) => sum + value * value, 0) - 1) < 1e-5);
  }
  assert.equal(neurons(3).weights.W_enc.join(), '1,0,0,0,1,0,0,0,1');
});
