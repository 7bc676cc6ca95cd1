import { MonosemeError } from '../errors.ts';
import { TorchFile } from '../formats/index.ts';
import type { Dictionary } from './dictionary.ts';
import {
  type Checkpoint,
  finiteFloats,
  foreignDictionary,
  hasArrays,
  matrixShape,
  sizeOf,
  transposed,
} from './exchange.ts';

export function isOpenAi(checkpoint: Checkpoint): boolean {
  return hasArrays(checkpoint, 'pre_bias', 'latent_bias', 'encoder.weight', 'decoder.weight');
}

/**
 * Read a dictionary of OpenAI's sparse_autoencoder: a state dict with pre_bias [dIn], latent_bias [dSae], encoder.weight
 * [dSae, dIn], decoder.weight [dIn, dSae] (its columns one after another in the file), and the name of the activation.
 * As there, TopK means that every row is normalised, and ReLU that it is not.
 *
 * @throws {MonosemeError} ERR_FORMAT (another activation, tensors that do not fit), ERR_NOT_FINITE
 */
export async function loadOpenAi({ file }: Checkpoint): Promise<Dictionary> {
  const [dSae, dIn] = await matrixShape(file, 'encoder.weight');
  const value = (...path: string[]) => (file instanceof TorchFile ? file.value(...path) : undefined);
  const activation = value('activation') ?? 'ReLU';
  const after = value('activation_state_dict', 'postact_fn') ?? 'ReLU';
  if ((activation !== 'ReLU' && activation !== 'TopK') || after !== 'ReLU')
    throw new MonosemeError(
      'ERR_FORMAT',
      `${file.path}: the activation is ${JSON.stringify(activation)}, then ${JSON.stringify(after)}.`,
      'ReLU is read, and TopK with ReLU after it.',
    );
  const weights = {
    W_enc: await finiteFloats(file, 'encoder.weight', [dSae, dIn]),
    b_enc: await finiteFloats(file, 'latent_bias', [dSae]),
    W_dec: transposed(await finiteFloats(file, 'decoder.weight', [dIn, dSae]), dIn, dSae),
    b_dec: await finiteFloats(file, 'pre_bias', [dIn]),
  };
  if (activation === 'ReLU')
    return foreignDictionary(weights, { architecture: 'standard', applyBDecToInput: true });
  return foreignDictionary(weights, {
    architecture: 'topk',
    k: sizeOf({ k: value('activation_state_dict', 'k') }, 'k', dSae, file.path),
    applyBDecToInput: true,
    normalization: 'layer_norm',
  });
}
