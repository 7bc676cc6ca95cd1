import type { TokenText } from '../corpus/index.ts';
import type { ModelRunner } from '../model/index.ts';
import { type Ablations, Ablator, type CausalEffects, plannedAblations } from './causal-effects.ts';
import type { FeatureIndexBuilder } from './feature-index-builder.ts';
import { type CheckpointPlace, IndexCheckpoint } from './index-checkpoint.ts';

export interface MeasureEffectsInput {
  readonly builder: FeatureIndexBuilder;
  readonly runner: ModelRunner;
  readonly tokenSet: TokenText;
  /** [dSae, dIn] */
  readonly W_dec: Float32Array;
  readonly dSae: number;
  /** Tokens that may go through the model's second half: each latent gets an equal share. */
  readonly budget: number;
  readonly checkpoints: CheckpointPlace;
  readonly signal?: AbortSignal;
  /** A share of the work, 0 to 1. */
  readonly onProgress?: (done: number) => void;
}

export interface MeanEffect {
  readonly lossChange: number;
  readonly divergence: number;
}

export interface MeasuredEffects {
  readonly ablations: Ablations;
  readonly effects: CausalEffects;
  /** Of each latent the means over its random examples: those of the group `random` and of the fifths. */
  readonly means: ReadonlyMap<number, MeanEffect>;
  readonly byToken: boolean;
}

/** Ablate every latent at its examples, within a budget. */
export async function measureEffects(input: MeasureEffectsInput): Promise<MeasuredEffects> {
  const { onProgress } = input;
  const ablator = await Ablator.start({
    ...input,
    onProgress: (done, total) => onProgress?.(done / total),
  });
  const share = Math.floor(input.budget / ablator.tokensPerAblation / input.dSae);
  const { ablations, isDrawn } = plan(input, share);
  const effects = await ablator.effects(ablations, new IndexCheckpoint('effects', input.checkpoints));
  const byToken = ablator.tokensPerAblation === 1;
  return { ablations, effects, means: meanEffects(ablations.latents, isDrawn, effects), byToken };
}

/** The ablations by latent; `isDrawn` says of each whether its token is a random example. */
function plan(
  { builder, tokenSet, dSae }: MeasureEffectsInput,
  share: number,
): { ablations: Ablations; isDrawn: Uint8Array } {
  const [latents, positions, activations, isDrawn]: number[][] = [[], [], [], []];
  for (let latent = 0; latent < dSae; latent++) {
    const examples = builder.firingExamples(latent);
    const drawn = new Set<number>();
    for (const { group, position } of examples)
      if (group === 'random' || group === 'quantile') drawn.add(position);
    for (const { position, activation } of plannedAblations(examples, tokenSet.contextSize, share)) {
      latents.push(latent);
      positions.push(position);
      activations.push(activation);
      isDrawn.push(drawn.has(position) ? 1 : 0);
    }
  }
  return {
    ablations: {
      latents: Uint32Array.from(latents),
      positions: Uint32Array.from(positions),
      activations: Float32Array.from(activations),
    },
    isDrawn: Uint8Array.from(isDrawn),
  };
}

function meanEffects(
  latents: Uint32Array,
  isDrawn: Uint8Array,
  effects: CausalEffects,
): Map<number, MeanEffect> {
  const means = new Map<number, MeanEffect>();
  for (let start = 0; start < latents.length;) {
    const latent = latents[start];
    let [n, loss, divergence] = [0, 0, 0];
    for (; start < latents.length && latents[start] === latent; start++) {
      if (!isDrawn[start]) continue;
      n++;
      loss += effects.lossChanges[start];
      divergence += effects.divergences[start];
    }
    if (n > 0) means.set(latent, { lossChange: loss / n, divergence: divergence / n });
  }
  return means;
}
