import { fileURLToPath } from 'node:url';
import { Tokenizer } from '../corpus/index.ts';
import type { Dictionary } from '../dictionary/index.ts';
import { selectBackend } from '../kernels/index.ts';
import { ModelRunner, OnnxModel } from '../model/index.ts';
import { Random } from '../random/index.ts';
import type { LiveParts } from '../server/index.ts';
import { SMALL_D_SAE } from './small-index.ts';

const MODEL = fileURLToPath(new URL('../../../../models/one-layer-a/', import.meta.url));
const HOOK = 'blocks.0.mlp.hook_post';

/** An embedded model with a dictionary of random directions, as many as the small index has latents. */
export async function liveParts(): Promise<LiveParts> {
  const model = await OnnxModel.open(MODEL);
  const runner = await ModelRunner.start(model, { hook: HOOK, threads: 1, suffix: true });
  const random = new Random(3);
  const { dIn } = runner;
  const directions = () =>
    Float32Array.from({ length: SMALL_D_SAE * dIn }, () => random.normal() / Math.sqrt(dIn));
  const dictionary: Dictionary = {
    config: {
      ...{ architecture: 'standard', dIn, dSae: SMALL_D_SAE, hookName: HOOK, modelName: 'one-layer-a' },
      ...{ contextSize: 256, applyBDecToInput: false, metadata: {} },
    },
    weights: {
      W_enc: directions(),
      b_enc: new Float32Array(SMALL_D_SAE),
      W_dec: directions(),
      b_dec: new Float32Array(dIn),
    },
  };
  const backend = await selectBackend({ name: 'reference' });
  return { runner, dictionary, backend, tokenizer: Tokenizer.open(model.tokenizerPath!) };
}
