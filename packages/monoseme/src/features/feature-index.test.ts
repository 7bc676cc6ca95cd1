import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { MonosemeError } from '../errors.ts';
import {
  buildSmallIndex,
  SMALL_D_SAE,
  SMALL_LATENTS,
  smallActivation,
  smallDictionary,
  smallJacobian,
  smallSource,
  smallText,
  smallToken,
  smallTokenizer,
} from '../testing/small-index.ts';
import { type FeatureIndex, openFeatureIndex } from './index.ts';

let folder: string;
let index: FeatureIndex;
const text = smallText(60, 64);
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-index-'));
  await buildSmallIndex(join(folder, 'index'));
  index = await openFeatureIndex(join(folder, 'index'));
});
after(() => rm(folder, { recursive: true, force: true }));

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: MonosemeError) => error.code,
  );

describe('an index that was built', () => {
  test('says what each latent does', async () => {
    const features = await index.features();
    assert.equal(features.length, SMALL_D_SAE);
    features.forEach((row, latent) => {
      const activations = Array.from(text.tokens, (_, position) => smallActivation(text, latent, position));
      const nFired = activations.filter((activation) => activation > 0).length;
      assert.equal(row.latent_index, latent);
      assert.equal(row.n_fired, nFired);
      assert.ok(Math.abs(row.density - nFired / text.tokens.length) < 1e-7);
      assert.ok(Math.abs(row.max_activation - Math.max(...activations)) < 1e-5 * row.max_activation + 1e-12);
    });
    const cat = features[SMALL_LATENTS.cat];
    assert.equal(cat.top_token, smallToken(' cat'));
    assert.equal(cat.top_token_share, 1);
    assert.equal(text.tokens[cat.preview_token], smallToken(' cat'));
    const silent = features[SMALL_LATENTS.silent];
    assert.deepEqual([silent.n_fired, silent.top_token, silent.preview_token], [0, -1, -1]);
  });

  test('holds examples that point into its corpus', async () => {
    for (let latent = 0; latent < SMALL_D_SAE; latent++) {
      const examples = await index.examplesOf(latent);
      assert.equal(examples.length > 0, latent !== SMALL_LATENTS.silent);
      for (const example of examples) {
        const activation = smallActivation(text, latent, example.token_index);
        assert.ok(Math.abs(example.activation - activation) <= 1e-4 * activation);
        assert.equal(activation === 0, example.group === 'near_miss');
        assert.deepEqual(
          await index.tokens(example.token_index, example.token_index + 1),
          text.tokens.slice(example.token_index, example.token_index + 1),
        );
      }
      const groups = examples.map(({ group, interval, rank }) => [
        group,
        group === 'interval' || group === 'quantile' ? interval : 0,
        rank,
      ]);
      const order = ['top', 'interval', 'quantile', 'random', 'near_miss'];
      const sorted = [...groups].sort(
        (a, b) =>
          order.indexOf(a[0] as string) - order.indexOf(b[0] as string) ||
          (a[1] as number) - (b[1] as number) ||
          (a[2] as number) - (b[2] as number),
      );
      assert.deepEqual(groups, sorted);
    }
  });

  test('has the logit weights of brute force', async () => {
    const jacobian = smallJacobian();
    const vocab = jacobian.length / SMALL_D_SAE;
    const { W_dec } = smallDictionary().weights;
    for (let latent = 0; latent < SMALL_D_SAE; latent++) {
      const weights = Array.from({ length: vocab }, (_, token) => {
        let sum = 0;
        for (let i = 0; i < SMALL_D_SAE; i++)
          sum += W_dec[latent * SMALL_D_SAE + i] * jacobian[i * vocab + token];
        return sum;
      });
      const sorted = [...weights].sort((a, b) => a - b);
      const median = vocab % 2 ? sorted[(vocab - 1) / 2] : (sorted[vocab / 2 - 1] + sorted[vocab / 2]) / 2;
      const details = await index.detailsOf(latent);
      const order = weights.map((_, token) => token).sort((a, b) => weights[b] - weights[a]);
      assert.deepEqual(details.top_logit_tokens, order.slice(0, 10));
      assert.deepEqual(details.bottom_logit_tokens, order.slice(-10).reverse());
      details.top_logits.forEach((weight, i) =>
        assert.ok(Math.abs(weight - weights[order[i]] + median) < 1e-4),
      );
      assert.equal(
        details.logit_histogram.reduce((sum, count) => sum + count, 0),
        vocab,
      );
    }
    const cat = await index.detailsOf(SMALL_LATENTS.cat);
    assert.equal(cat.top_logit_tokens[0], smallToken(' sat'));
    assert.equal(cat.bottom_logit_tokens[0], smallToken('.'));
  });

  test('knows neighbours, neurons, and who fires on a token', async () => {
    const six = await index.detailsOf(6);
    assert.deepEqual(six.neighbours, [7]);
    assert.ok(Math.abs(six.neighbour_cosines[0] - 0.5 / Math.sqrt(1.25)) < 1e-4);
    assert.deepEqual(six.neurons.slice(0, 2), [6, 7]);
    assert.ok(Math.abs(six.neuron_shares[0] - 2 / 3) < 1e-4);

    const onCat = await index.latentsOf(smallToken(' cat'));
    assert.ok(onCat.some(({ latent_index }) => latent_index === SMALL_LATENTS.cat));
    const byMean = onCat.map(({ mean_activation }) => mean_activation);
    assert.deepEqual(
      byMean,
      [...byMean].sort((a, b) => b - a),
    );
    const expected = [...text.tokens.keys()]
      .filter((position) => text.tokens[position] === smallToken(' cat'))
      .map((position) => smallActivation(text, SMALL_LATENTS.cat, position))
      .reduce((sum, activation, _, all) => sum + activation / all.length, 0);
    const cat = onCat.find(({ latent_index }) => latent_index === SMALL_LATENTS.cat)!;
    assert.ok(Math.abs(cat.mean_activation - expected) < 4e-3 * expected);
    assert.deepEqual(await index.latentsOf(999), []);
  });

  test('the card of a latent has the row of features.parquet and what a list shows', async () => {
    const cards = await index.features();
    const file = await asyncBufferFromFile(join(folder, 'index/features.parquet'));
    const rows = await parquetReadObjects({ file });
    assert.equal(rows.length, SMALL_D_SAE);
    for (const [latent, row] of rows.entries()) {
      const card = cards[latent];
      for (const [name, value] of Object.entries(row))
        assert.equal(card[name as keyof typeof card], value, `${name} of ${latent}`);
      const details = await index.detailsOf(latent);
      assert.deepEqual(card.top_logit_tokens, details.top_logit_tokens.slice(0, 4));
      const [first] = await index.examplesOf(latent);
      assert.equal(card.preview_token, first?.token_index ?? -1);
      const near = (first?.near_offsets ?? []).flatMap((offset, i) =>
        Math.abs(offset) <= 8 ? [[offset, first.near_activations[i]]] : [],
      );
      assert.deepEqual(
        card.preview_offsets.map((offset, i) => [offset, card.preview_activations[i]]),
        near,
      );
    }
    assert.deepEqual(await index.features(3, 5), cards.slice(3, 5));
  });

  test('knows which latents raise a token, and where examples peak', async () => {
    const raised: Record<number, { latent: number; weight: number }[]> = {};
    const places: [number, number][] = [];
    for (let latent = 0; latent < SMALL_D_SAE; latent++) {
      const { top_logit_tokens, top_logits } = await index.detailsOf(latent);
      top_logit_tokens.forEach((token, i) => (raised[token] ??= []).push({ latent, weight: top_logits[i] }));
      const firing = (await index.examplesOf(latent)).filter(
        ({ group, rank, repeats }) =>
          !repeats && (group === 'top' || group === 'random' || (group === 'interval' && rank === 0)),
      );
      for (const place of new Set(firing.map(({ token_index }) => token_index))) places.push([place, latent]);
    }
    for (const token of Array.from({ length: smallTokenizer.vocabSize }, (_, id) => id)) {
      const expected = (raised[token] ?? []).sort((a, b) => b.weight - a.weight || a.latent - b.latent);
      const found = await index.promotersOf(token);
      assert.deepEqual(
        found.map(({ latent_index, weight }) => ({ latent: latent_index, weight })),
        expected,
      );
    }
    const inText = (await index.examplesAt(100, 900)).map((row) => [row.token_index, row.latent_index]);
    places.sort(([a, i], [b, j]) => a - b || i - j);
    assert.ok(inText.length > 50);
    assert.deepEqual(
      inText,
      places.filter(([place]) => place >= 100 && place < 900),
    );
  });

  test('names the groups of the map by the tokens that tell them from the others', async () => {
    const features = (await index.features()).filter(({ n_fired }) => n_fired > 0);
    const clusters = await index.clusters();
    const numbers = [...new Set(features.map(({ cluster }) => cluster))].sort((a, b) => a - b);
    assert.deepEqual(
      clusters.map(({ cluster }) => cluster),
      numbers,
    );
    for (const { cluster, n_features, map_x, tokens } of clusters) {
      const members = features.filter((feature) => feature.cluster === cluster);
      assert.equal(n_features, members.length);
      assert.ok(Math.abs(map_x - members.reduce((sum, row) => sum + row.map_x, 0) / members.length) < 1e-5);
      const share = (rows: typeof features, token: number) =>
        rows.filter(({ top_token }) => top_token === token).length / rows.length;
      const score = (token: number) =>
        members.length * share(members, token) * Math.log(share(members, token) / share(features, token));
      const known = [...new Set(members.map(({ top_token }) => top_token))].filter(
        (token) => score(token) >= 0,
      );
      known.sort((a, b) => score(b) - score(a) || a - b);
      assert.deepEqual(tokens, known.slice(0, 5));
    }
  });

  test('keeps vocabulary, documents and what it was made from', async () => {
    const vocabulary = await index.vocabulary();
    assert.equal(vocabulary[smallToken(' cat')], ' cat');
    assert.equal(vocabulary[2], '\\xc3');
    const raw = JSON.parse(await readFile(join(folder, 'index/vocabulary.json'), 'utf8'));
    assert.deepEqual(raw.bytes, { 2: 'c3', 3: 'a9' });
    assert.equal(raw.counts[2], raw.counts[3]);
    const { corpus, evaluation } = index.details;
    assert.equal(corpus.n_documents, text.documents.length);
    assert.equal(corpus.sources['stories'] + corpus.sources['letters'], text.tokens.length);
    assert.equal(evaluation['l0'], 3.25);
    await index.verify();
  });

  test('is the same bytes when built again, whatever the chunks; another seed draws others', async () => {
    const again = join(folder, 'again');
    await buildSmallIndex(again, { source: smallSource(text, 60) });
    const hashes = async (path: string) => (await openFeatureIndex(path)).details.files;
    assert.deepEqual(await hashes(again), await hashes(join(folder, 'index')));
    await buildSmallIndex(again, { seed: 2 });
    assert.notDeepEqual(await hashes(again), await hashes(join(folder, 'index')));
  });

  test('refuses a latent that does not exist', async () => {
    for (const latent of [-1, 0.5, SMALL_D_SAE, NaN]) {
      assert.equal(await codeOf(index.examplesOf(latent)), 'ERR_OPTION');
      assert.equal(await codeOf(index.detailsOf(latent)), 'ERR_OPTION');
    }
  });
});

describe('building', () => {
  test('refuses activations, tokens and dictionaries that do not belong together', async () => {
    const out = join(folder, 'none');
    assert.equal(
      await codeOf(buildSmallIndex(out, { source: smallSource(smallText(30, 64)) })),
      'ERR_MISMATCH',
    );
    assert.equal(
      await codeOf(buildSmallIndex(out, { source: { ...smallSource(text), dIn: 7 } })),
      'ERR_MISMATCH',
    );
    assert.equal(await codeOf(buildSmallIndex(out, { jacobian: new Float32Array(25) })), 'ERR_MISMATCH');
    assert.equal(await codeOf(buildSmallIndex(out, { examples: { nTop: 0 } })), 'ERR_OPTION');
    assert.equal(await codeOf(openFeatureIndex(out)), 'ERR_NOT_FOUND');
  });

  test('works without logits', async () => {
    const out = join(folder, 'plain');
    await buildSmallIndex(out, { jacobian: undefined });
    const plain = await openFeatureIndex(out);
    assert.equal(plain.details.logits, null);
    assert.deepEqual((await plain.detailsOf(0)).top_logit_tokens, []);
  });

  test('interrupted, leaves nothing that looks like an index', async () => {
    const out = join(folder, 'stopped');
    const abort = new AbortController();
    const source = smallSource(text);
    const stopping = {
      ...source,
      readChunk: (chunk: number) => {
        if (chunk === 3) abort.abort();
        return source.readChunk(chunk);
      },
    };
    assert.equal(
      await codeOf(buildSmallIndex(out, { source: stopping, signal: abort.signal })),
      'ERR_INTERRUPTED',
    );
    assert.equal(await codeOf(openFeatureIndex(out)), 'ERR_NOT_FOUND');
  });

  test('passes on what goes wrong with the activations', async () => {
    const source = smallSource(text);
    const broken = {
      ...source,
      readChunk: async (chunk: number) => {
        if (chunk === 3) throw new MonosemeError('ERR_NOT_FINITE', 'NaN.', '');
        return source.readChunk(chunk);
      },
    };
    const out = join(folder, 'broken');
    assert.equal(await codeOf(buildSmallIndex(out, { source: broken })), 'ERR_NOT_FINITE');
    assert.equal(await codeOf(openFeatureIndex(out)), 'ERR_NOT_FOUND');
  });
});

describe('an index that was damaged', () => {
  /** A copy with one file changed. */
  async function damaged(change: (copy: string) => Promise<unknown>): Promise<string> {
    const copy = await mkdtemp(join(folder, 'copy-'));
    await cp(join(folder, 'index'), copy, { recursive: true });
    await change(copy);
    return copy;
  }
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests reach into the JSON
  const editManifest = (change: (manifest: any) => void) => (copy: string) =>
    readFile(join(copy, 'manifest.json'), 'utf8').then((json) => {
      const manifest = JSON.parse(json);
      change(manifest);
      return writeFile(join(copy, 'manifest.json'), JSON.stringify(manifest));
    });

  const openCases: [string, (copy: string) => Promise<unknown>, string][] = [
    ['no manifest', (copy) => rm(join(copy, 'manifest.json')), 'ERR_NOT_FOUND'],
    ['another artifact', editManifest((m) => (m.kind = 'dictionary')), 'ERR_MISMATCH'],
    ['a newer version', editManifest((m) => (m.details.index_version = 99)), 'ERR_MISMATCH'],
    ['no version', editManifest((m) => delete m.details.index_version), 'ERR_MISMATCH'],
    ['no sizes', editManifest((m) => delete m.details.corpus), 'ERR_FORMAT'],
    ['no files', editManifest((m) => (m.details.files = [])), 'ERR_FORMAT'],
    ['a path that leaves', editManifest((m) => (m.details.files[0].path = '../../etc/passwd')), 'ERR_FORMAT'],
    ['latents that are not there', editManifest((m) => (m.details.dictionary.d_sae = 5000)), 'ERR_FORMAT'],
    ['a missing table', (copy) => rm(join(copy, 'features.parquet')), 'ERR_FORMAT'],
    ['a table cut short', (copy) => truncate(join(copy, 'examples/part-00000.parquet'), 500), 'ERR_FORMAT'],
    ['a corpus cut short', (copy) => truncate(join(copy, 'corpus/tokens.bin'), 10), 'ERR_FORMAT'],
    ['a manifest that is no JSON', (copy) => writeFile(join(copy, 'manifest.json'), '{'), 'ERR_FORMAT'],
  ];
  for (const [what, change, code] of openCases) {
    test(`${what}: ${code}`, async () =>
      assert.equal(await codeOf(openFeatureIndex(await damaged(change))), code));
  }

  test('a table of noise, or with a lying footer, is met when it is read', async () => {
    for (const fill of ['noise', 'footer'] as const) {
      const copy = await damaged(async (path) => {
        const file = join(path, 'details/part-00000.parquet');
        const bytes = await readFile(file);
        if (fill === 'noise') bytes.fill(0xa5);
        else bytes.writeUInt32LE(0x7fffffff, bytes.length - 8);
        await writeFile(file, bytes);
      });
      const opened = await openFeatureIndex(copy);
      assert.equal(await codeOf(opened.detailsOf(0)), 'ERR_FORMAT');
      assert.equal(await codeOf(opened.verify()), 'ERR_MISMATCH');
    }
  });

  test('one changed byte is found by verify', async () => {
    const copy = await damaged(async (path) => {
      const file = join(path, 'corpus/tokens.bin');
      const bytes = await readFile(file);
      bytes[20] ^= 1;
      await writeFile(file, bytes);
    });
    assert.equal(await codeOf((await openFeatureIndex(copy)).verify()), 'ERR_MISMATCH');
  });
});
