import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONTEXT, D_SAE, type Firing, randomCodes } from '../testing/random-firings.ts';
import { ActivationSamples } from './activation-samples.ts';
import { firingHash, latentHash, secondHash } from './firing-hash.ts';

test('samples are the firings with the smallest hashes, also after the limit has doubled many times', () => {
  const { tokens, firings } = randomCodes(200, 11);
  // Rising activations make the limit double again and again.
  const list = firings[9].map(({ position, activation }, i) => ({
    position,
    activation: Math.fround(activation * 1.02 ** i),
  }));
  const options = { dSae: D_SAE, contextSize: CONTEXT, seed: 7, nTop: 4, nRandom: 6, radius: 3 };
  const samples = new ActivationSamples(tokens, options);
  for (let start = 0; start < list.length; start += 50) {
    // Runs hold whole contexts here because a context is as long as the distance of two runs allows.
    const run = list.slice(start, start + 50);
    samples.addRun(
      9,
      Uint32Array.from(run, ({ position }) => position),
      Float32Array.from(run, ({ activation }) => activation),
      0,
      run.length,
      Math.max(...list.slice(0, start + 50).map(({ activation }) => activation)),
    );
  }
  const max = Math.max(...list.map(({ activation }) => activation));
  const limit = 2 ** (Math.floor(Math.log2(max)) + 1);
  const hashOfLatent = latentHash(7, 9);
  const hash = ({ position }: Firing) => firingHash(hashOfLatent, position);
  const expected = Array.from({ length: 24 }, (_, bin) =>
    list
      .filter(({ activation }) => Math.floor((activation / limit) * 24) === bin)
      .sort((a, b) => hash(a) - hash(b))
      .slice(0, 5),
  ).flat();
  assert.deepEqual(
    samples.byHeight(9).map(({ position }) => position),
    expected.sort((a, b) => hash(a) - hash(b)).map(({ position }) => position),
  );
  assert.deepEqual(
    samples.random(9).map(({ position }) => position),
    [...list]
      .sort((a, b) => secondHash(hash(a)) - secondHash(hash(b)))
      .slice(0, 6)
      .map(({ position }) => position),
  );
});
