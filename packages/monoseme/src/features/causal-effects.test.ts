import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ModelRunner, OnnxModel } from '../model/index.ts';
import { Random } from '../random/index.ts';
import { fixture, randomTokens } from '../testing/fixtures.ts';
import { Ablator, plannedAblations } from './causal-effects.ts';
import type { Example } from './choose-examples.ts';

const CONTEXT = 10;

/** Ablations of a random direction at some tokens, and what the whole model makes of each. */
async function ablateAndCompare(hook: string): Promise<number> {
  const model = await OnnxModel.open(fixture('models/gpt-two-layer'));
  const runner = await ModelRunner.start(model, { hook, suffix: true });
  try {
    const tokenSet = randomTokens(20, CONTEXT, 3);
    const random = new Random(1);
    const W_dec = Float32Array.from({ length: 2 * runner.dIn }, () => random.normal());
    const positions = Uint32Array.of(3, 42, 44, 44, 198, 101);
    const latents = Uint32Array.of(0, 1, 0, 1, 0, 1);
    const activations = Float32Array.of(1, 0.5, 2, 0.25, 1, 3);
    const ablator = await Ablator.start({ runner, tokenSet, W_dec });
    const effects = await ablator.effects({ latents, positions, activations });
    const batch = await runner.openBatch(tokenSet.tokens, CONTEXT);
    const original = await batch.losses(batch.activations);
    for (const [i, position] of positions.entries()) {
      const edited = batch.activations.slice();
      for (let k = 0; k < runner.dIn; k++)
        edited[position * runner.dIn + k] -= activations[i] * W_dec[latents[i] * runner.dIn + k];
      const losses = await batch.losses(edited);
      const loss = Math.floor(position / CONTEXT) * (CONTEXT - 1) + (position % CONTEXT);
      const expected = losses[loss] - original[loss];
      assert.ok(
        Math.abs(effects.lossChanges[i] - expected) < 1e-4,
        `${effects.lossChanges[i]} ≠ ${expected}`,
      );
      assert.ok(effects.divergences[i] > 0);
      assert.ok(effects.raisedBy[3 * i] > 0 && effects.loweredBy[3 * i] < 0);
    }
    await batch.close();
    return ablator.tokensPerAblation;
  } finally {
    await runner.close();
  }
}

describe('what taking a latent out changes', () => {
  test('behind the last attention: token by token', async () => {
    assert.equal(await ablateAndCompare('blocks.1.mlp.hook_post'), 1);
  });

  test('before an attention: whole contexts', async () => {
    assert.equal(await ablateAndCompare('blocks.0.mlp.hook_post'), CONTEXT);
  });
});

test('an equal share goes to the top first, then to random ones, then to what fires around the top', () => {
  const example = (group: Example['group'], position: number, offsets: number[] = []): Example => ({
    ...{ group, position, activation: position, rank: 0, interval: 0, repeats: false },
    near: { offsets, activations: offsets.map(() => 0.5) },
  });
  const examples = [
    example('top', 11, [-1, 3]),
    example('top', 19),
    example('interval', 33),
    example('random', 42),
    example('random', 11),
    example('near_miss', 55),
  ];
  const positions = (n: number) => plannedAblations(examples, 10, n).map(({ position }) => position);
  assert.deepEqual(positions(100), [11, 42, 33, 10, 14]);
  assert.deepEqual(positions(2), [11, 42]);
  assert.deepEqual(positions(0), []);
});
