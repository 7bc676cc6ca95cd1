import { MonosemeError } from '../../errors.ts';
import type { IndexDetails } from '../schema.ts';

/** What an index is called at Neuronpedia: model, layer and set make up the name of a source. */
export interface SourceNames {
  readonly modelId: string;
  readonly layer: number;
  readonly setName: string;
  /** `layer-setName`. */
  readonly sourceId: string;
}

/** Rows of W_dec. */
export interface DecoderRows {
  row(latent: number): Float32Array;
}

/**
 * The names given, else such as follow from the dictionary: the model's last path element in lower case, the number in
 * `blocks.N.` of the hook, `monoseme-<d_sae>`.
 *
 * @throws {MonosemeError} ERR_OPTION for a name that Neuronpedia refuses
 */
export function sourceNames(
  { dictionary }: IndexDetails,
  given: { readonly modelId?: string; readonly layer?: number; readonly setName?: string } = {},
): SourceNames {
  const modelId = given.modelId ?? plain(dictionary.model_name.split('/').at(-1) ?? '', 32);
  const layer = given.layer ?? Number(/\bblocks\.(\d+)\./.exec(dictionary.hook_name)?.[1] ?? 0);
  const setName = given.setName ?? `monoseme-${dictionary.d_sae}`;
  if (!/^[a-z0-9][a-z0-9.-]{1,31}$/.test(modelId))
    throw new MonosemeError(
      'ERR_OPTION',
      `"${modelId}" is no name of a model: 2 to 32 lower-case letters, digits, dots and hyphens.`,
      'Give one with --model-id.',
    );
  if (!/^[a-z0-9-]+$/.test(setName))
    throw new MonosemeError(
      'ERR_OPTION',
      `"${setName}" is no name of a set: lower-case letters, digits and hyphens.`,
      'Give another with --set-name.',
    );
  return { modelId, layer, setName, sourceId: `${layer}-${setName}` };
}

function plain(name: string, length: number): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]+/g, '-')
    .slice(0, length);
}
