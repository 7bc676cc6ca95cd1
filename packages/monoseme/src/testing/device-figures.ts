import { HookedModel, ModelRunner, type OnnxModel } from '../model/index.ts';
import { randomTokens } from './fixtures.ts';

export const DEVICE_HOOK = 'blocks.0.mlp.hook_post';
const CONTEXT = 12;

export type DeviceFigures = Readonly<Record<string, readonly number[]>>;

/** What a small model gives on its device, by all that runs a part of one; `halves` are bits of f16. */
export async function deviceFigures(model: OnnxModel): Promise<DeviceFigures> {
  const { tokens } = randomTokens(2, CONTEXT);
  const runner = await ModelRunner.start(model, { hook: DEVICE_HOOK, threads: 1, suffix: true });
  const batch = await runner.openBatch(tokens, CONTEXT);
  const losses = await batch.losses(batch.activations);
  const halved = await batch.outcomes(batch.activations.map((x) => x / 2));
  const halves = await runner.halfActivations(tokens, CONTEXT);
  await batch.close();
  await runner.close();
  const hooked = new HookedModel(model, { threads: 1 });
  const logits = await hooked.run({ tokens, contextSize: CONTEXT, hooks: { [DEVICE_HOOK]: () => {} } });
  await hooked.close();
  const found = { activations: batch.activations, losses, halvedLosses: halved.losses, logits, halves };
  return Object.fromEntries(Object.entries(found).map(([what, values]) => [what, [...values]]));
}
