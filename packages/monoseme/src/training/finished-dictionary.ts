import type { ActivationSource } from '../activations/index.ts';
import { architectureNamed, type Dictionary } from '../dictionary/index.ts';
import { snakeCaseKeys } from '../formats/index.ts';
import { penaltyCoefficient, type TrainOptions } from './options.ts';
import { finishedForm, type TrainState } from './parameters.ts';

/** A tensor of a model. */
export interface HookPoint {
  readonly hookName: string;
  readonly modelName: string;
}

/** Where the activations of a dictionary come from, and how it was trained. */
export interface Origin extends HookPoint {
  readonly source: ActivationSource;
  readonly options: TrainOptions;
  /** Those of the parts of a row, where a row holds several: input and target of a transcoder, sources of a crosscoder. */
  readonly hooks?: readonly HookPoint[];
}

/** The dictionary for use that a state of training gives, with what `cfg.json` says of its training. */
export function finishedDictionary(
  state: TrainState,
  { source, options, hookName, modelName, hooks = [] }: Origin,
): Dictionary {
  const architecture = architectureNamed(options.architecture);
  const { weights, ...form } = finishedForm(state, architecture, options);
  return {
    config: {
      ...form,
      dIn: state.dIn,
      dSae: state.dSae,
      hookName,
      modelName,
      ...(architecture.rows === 'input-and-target' && { targetHookName: hooks[1]?.hookName ?? '' }),
      ...(architecture.rows === 'sources' && {
        sources: state.layout.inputs.map(({ width, ownScale }, part) => ({
          hookName: hooks[part]?.hookName ?? '',
          modelName: hooks[part]?.modelName ?? '',
          width,
          scale: ownScale,
          ...(source.modelHashes?.[part] !== undefined && { modelHash: source.modelHashes[part] }),
        })),
      }),
      ...(state.layout.normalization && { normalization: state.layout.normalization }),
      contextSize: source.contextSize,
      applyBDecToInput: architecture.centersInput,
      metadata: {
        ...(source.modelHash !== undefined && { model_sha256: source.modelHash }),
        ...(source.leftOut && { left_out: snakeCaseKeys({ ...source.leftOut }) }),
        training_tokens: state.step * options.batchRows,
        ...(architecture.name === 'standard' ? {} : { training_architecture: architecture.name }),
        ...penaltyMetadata(options, state.dOut),
        seed: options.seed,
      },
    },
    weights,
  };
}

function penaltyMetadata(options: TrainOptions, width: number): Record<string, unknown> {
  const { coefficient } = architectureNamed(options.architecture);
  if (coefficient === undefined) return { k: options.k };
  if (coefficient === 'l0Coefficient') return { l0_coefficient: options.l0Coefficient };
  return {
    l1_coefficient: penaltyCoefficient(options, width),
    l1_coefficient_given: options.l1Coefficient,
    l1_scale: options.l1Scale,
  };
}
