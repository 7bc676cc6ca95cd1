import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MonosemeError } from '../errors.ts';
import {
  build,
  coActive,
  codesOf,
  CONTEXT,
  D_SAE,
  type Firing,
  OPTIONS,
  randomCodes,
} from '../testing/random-firings.ts';
import { FeatureIndexBuilder } from './feature-index-builder.ts';

const close = (actual: number, expected: number, tolerance: number, what: string) =>
  assert.ok(
    Math.abs(actual - expected) <= tolerance * Math.max(1e-30, Math.abs(expected)),
    `${what}: ${actual} ≠ ${expected}`,
  );

describe('the builder against brute force', () => {
  const data = randomCodes(120, 3);
  const builder = build(data, 7);

  test('moments', () => {
    data.firings.forEach((list, latent) => {
      const moments = builder.moments.of(latent);
      const n = list.length;
      assert.equal(moments.nFired, n);
      assert.equal(
        moments.nContexts,
        new Set(list.map(({ position }) => Math.floor(position / CONTEXT))).size,
      );
      assert.equal(moments.max, Math.max(0, ...list.map(({ activation }) => activation)));
      if (n === 0) return;
      const mean = list.reduce((sum, { activation }) => sum + activation, 0) / n;
      const central = (power: number) =>
        list.reduce((sum, { activation }) => sum + (activation - mean) ** power, 0) / n;
      close(moments.mean, mean, 1e-12, 'mean');
      close(moments.std, Math.sqrt(central(2)), 1e-9, 'std');
      if (n < 10) return;
      close(moments.skewness, central(3) / central(2) ** 1.5, 1e-6, 'skewness');
      close(moments.kurtosis, central(4) / central(2) ** 2, 1e-6, 'kurtosis');
    });
  });

  test('histograms keep every count, quantiles are near the true ones', () => {
    data.firings.forEach((list, latent) => {
      if (list.length === 0) return;
      const { histogram } = builder;
      const max = builder.moments.max[latent];
      const sum = (counts: Uint32Array) => counts.reduce((total, count) => total + count, 0);
      const linear = histogram.linear(latent, 12, max);
      assert.equal(sum(linear), list.length);
      const exact = new Array<number>(12).fill(0);
      for (const { activation } of list) exact[Math.min(11, Math.floor((activation / max) * 12))]++;
      linear.forEach((count, bin) => assert.ok(Math.abs(count - exact[bin]) <= 2 + 0.08 * list.length));

      const log = histogram.logarithmic(latent, -30, 20);
      assert.equal(sum(log), list.length);
      const sorted = list.map(({ activation }) => activation).sort((a, b) => a - b);
      if (sorted.length < 200) return;
      for (const q of [0.25, 0.5, 0.9])
        close(
          histogram.quantile(latent, q, max),
          sorted[Math.floor(q * sorted.length)],
          0.06,
          `quantile ${q}`,
        );
    });
  });

  test('the logarithmic histogram counts each value in its bin', () => {
    data.firings.forEach((list, latent) => {
      const exact = new Array<number>(1 + 50 * 4).fill(0);
      for (const { activation } of list) {
        const octave = Math.floor(Math.log2(activation));
        // What is below 2^−12 of the limit is counted in the lowest bin.
        if (activation < builder.histogram.limit(latent) / 4096) exact[0]++;
        else exact[1 + (octave + 30) * 4 + Math.floor((activation / 2 ** octave - 1) * 4)]++;
      }
      assert.deepEqual(Array.from(builder.histogram.logarithmic(latent, -30, 20)), exact);
    });
  });

  test('the top group is the largest firing of each context, one a text', () => {
    data.firings.forEach((list, latent) => {
      const bestOfContext = new Map<number, Firing>();
      for (const firing of list) {
        const context = Math.floor(firing.position / CONTEXT);
        if (!(bestOfContext.get(context)! && bestOfContext.get(context)!.activation >= firing.activation))
          bestOfContext.set(context, firing);
      }
      const text = ({ position }: Firing) => {
        const context = position - (position % CONTEXT);
        return data.tokens
          .slice(Math.max(context, position - 4), Math.min(context + CONTEXT, position + 5))
          .join();
      };
      const texts = new Set<string>();
      const expected = [...bestOfContext.values()]
        .sort((a, b) => b.activation - a.activation || a.position - b.position)
        .filter((firing) => !texts.has(text(firing)) && texts.add(text(firing)))
        .slice(0, OPTIONS.nTop);
      const top = builder.examples(latent).filter(({ group }) => group === 'top');
      assert.deepEqual(
        top.slice(0, expected.length).map(({ position }) => position),
        expected.map(({ position }) => position),
      );
      assert.ok(top.length === Math.min(OPTIONS.nTop, list.length) || list.length > expected.length);
      top.slice(0, expected.length).forEach(({ repeats }) => assert.equal(repeats, false));
    });
  });

  test('every example is a firing, in its interval, with the firings around it', () => {
    data.firings.forEach((list, latent) => {
      const activations = new Map(list.map(({ position, activation }) => [position, activation]));
      const max = builder.moments.max[latent];
      for (const example of builder.examples(latent)) {
        if (example.group === 'near_miss' || example.group === 'quantile') continue;
        assert.equal(example.activation, activations.get(example.position));
        const share = example.activation / max;
        assert.ok(share <= (12 - example.interval) / 12 + 1e-12);
        assert.ok(share > (11 - example.interval) / 12 - 1e-12);
        const context = Math.floor(example.position / CONTEXT);
        const around = list.filter(
          ({ position }) =>
            position !== example.position &&
            Math.abs(position - example.position) <= OPTIONS.windowRadius &&
            Math.floor(position / CONTEXT) === context,
        );
        assert.deepEqual(
          example.near.offsets,
          around.map(({ position }) => position - example.position),
        );
        around.forEach(({ activation }, i) =>
          close(example.near.activations[i], activation, 1 / 256, 'near'),
        );
      }
    });
  });

  test('the fifths hold firings between their quantiles, the strongest first', () => {
    for (const latent of [6, 9]) {
      const sorted = data.firings[latent].map(({ activation }) => activation).sort((a, b) => a - b);
      const shown = builder.examples(latent).filter(({ group }) => group === 'quantile');
      assert.ok(shown.length >= 8);
      for (const { activation, interval } of shown) {
        const rank = sorted.indexOf(activation) / sorted.length;
        assert.ok(Math.abs(rank - (4.5 - interval) / 5) < 0.1 + 0.03, `${rank} in fifth ${interval}`);
      }
    }
  });

  test('near misses are on a heavy token, silent all around, one a context', () => {
    let nFound = 0;
    data.firings.forEach((list, latent) => {
      const fires = new Set(list.map(({ position }) => position));
      const heavy = builder.tokenMass
        .of(latent)
        .slice(0, 3)
        .map(({ token }) => token);
      const missed = builder.examples(latent).filter(({ group }) => group === 'near_miss');
      nFound += missed.length;
      const contexts = missed.map(({ position }) => Math.floor(position / CONTEXT));
      assert.equal(new Set(contexts).size, contexts.length);
      for (const { position, activation } of missed) {
        assert.equal(activation, 0);
        assert.ok(heavy.includes(data.tokens[position]));
        for (let near = position - 5; near <= position + 5; near++) {
          const sameContext = Math.floor(near / CONTEXT) === Math.floor(position / CONTEXT);
          assert.ok(!sameContext || !fires.has(near));
        }
      }
    });
    assert.ok(nFound > 10);
  });

  test('correlations with the elements of the activation', () => {
    const [first, second] = builder.correlatedNeurons(9, 3).correlations;
    assert.deepEqual(builder.correlatedNeurons(9, 3).neurons, [0, 2]);
    assert.ok(first > 0.9, `${first}`);
    assert.ok(Math.abs(second) < 0.3);
    assert.deepEqual(builder.correlatedNeurons(11, 3), { neurons: [], correlations: [] });
    assert.ok(Math.abs(builder.correlatedNeurons(5, 1).correlations[0]) < 0.2);
  });

  test('intervals with enough firings have all their examples', () => {
    const dense = 9;
    const max = builder.moments.max[dense];
    for (let interval = 6; interval < 12; interval++) {
      const inside = data.firings[dense].filter(
        ({ activation }) => Math.min(11, Math.floor((1 - activation / max) * 12)) === interval,
      );
      const shown = builder.examples(dense).filter((e) => e.group === 'interval' && e.interval === interval);
      assert.equal(shown.length, Math.min(OPTIONS.perInterval, inside.length));
    }
  });

  test('tokens that carry the activation', () => {
    data.firings.forEach((list, latent) => {
      const sums = new Map<number, number>();
      for (const { position, activation } of list)
        sums.set(data.tokens[position], (sums.get(data.tokens[position]) ?? 0) + activation);
      const entries = builder.tokenMass.of(latent);
      assert.equal(entries.length, sums.size);
      for (const { token, sum } of entries) close(sum, sums.get(token)!, 1e-5, 'sum');
    });
  });

  test('the batches do not matter', async () => {
    for (const contextsPerBatch of [1, 120]) {
      const other = build(data, contextsPerBatch);
      for (let latent = 0; latent < D_SAE; latent++) {
        assert.deepEqual(other.examples(latent), builder.examples(latent));
        assert.deepEqual(other.histogram.bins(latent), builder.histogram.bins(latent));
        const [a, b] = [other, builder].map((one) => one.correlatedNeurons(latent, 3));
        assert.deepEqual(a.neurons, b.neurons);
        a.correlations.forEach((r, i) => assert.ok(Math.abs(r - b.correlations[i]) < 1e-12));
      }
      assert.deepEqual(await coActive(other), await coActive(builder));
    }
  });
});

test('a text that occurs again and again is shown once before others, and marked after', () => {
  // The same 32 tokens in every context but the last: only two texts around the firing token.
  const nContexts = 30;
  const tokens = Uint32Array.from({ length: nContexts * CONTEXT }, (_, i) =>
    i >= (nContexts - 1) * CONTEXT ? 100 + (i % CONTEXT) : i % CONTEXT,
  );
  const firings: Firing[][] = Array.from({ length: D_SAE }, () => []);
  for (let context = 0; context < nContexts; context++)
    firings[0].push({ position: context * CONTEXT + 10, activation: context === nContexts - 1 ? 1 : 5 });
  const examples = build({ tokens, firings }, 4).examples(0);
  const top = examples.filter(({ group }) => group === 'top');
  assert.deepEqual(
    top.slice(0, 2).map(({ activation, repeats }) => [activation, repeats]),
    [
      [5, false],
      [1, false],
    ],
  );
  assert.ok(examples.length > 6 && examples.slice(2).every(({ repeats }) => repeats));
});

test('batches that do not continue, and values that cannot be, are refused', () => {
  const { tokens, firings } = randomCodes(4, 1);
  const codes = codesOf(firings, 0, CONTEXT);
  const x = new Float32Array(3 * CONTEXT);
  const builder = new FeatureIndexBuilder(tokens, OPTIONS);
  const code = (run: () => unknown) => {
    try {
      run();
    } catch (error) {
      return (error as MonosemeError).code;
    }
    return undefined;
  };
  assert.equal(
    code(() => builder.addBatch(codes, x, CONTEXT)),
    'ERR_SHAPE',
  );
  assert.equal(
    code(() => builder.addBatch(codesOf(firings, 0, CONTEXT - 1), x.subarray(3), 0)),
    'ERR_SHAPE',
  );
  for (const value of [NaN, Infinity]) {
    const bad = { ...codesOf(firings, 0, CONTEXT), values: codes.values.map(() => value) };
    assert.equal(
      code(() => builder.addBatch(bad, x, 0)),
      'ERR_NOT_FINITE',
    );
  }
  assert.equal(
    code(() => new FeatureIndexBuilder(tokens, { ...OPTIONS, nTop: 0 })),
    'ERR_OPTION',
  );
  assert.equal(
    code(() => new FeatureIndexBuilder(tokens.subarray(1), OPTIONS)),
    'ERR_SHAPE',
  );
});
