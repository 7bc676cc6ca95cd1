import type { Sums } from './sums.ts';

/** Figures of how a dictionary reconstructs. A figure that is not defined (nothing to divide by) is NaN. */
export interface ReconstructionFigures {
  /** Mean number of active latents a token. */
  readonly l0: number;
  /** Mean Σ_j f_j. */
  readonly l1: number;
  /** Mean ‖x − x̂‖² (summed over the elements). */
  readonly mse: number;
  /** 1 − Σ‖x − x̂‖² / Σ‖x − mean(x)‖², sums over the whole set, divided once. */
  readonly explainedVariance: number;
  /** Mean cosine of x and x̂. */
  readonly cosineSimilarity: number;
  /** Mean ‖x̂‖ / ‖x‖. */
  readonly l2Ratio: number;
  /** E‖x̂‖² / E⟨x, x̂⟩: below 1 when reconstructions shrink. */
  readonly relativeReconstructionBias: number;
}

/** Figures of what the model does with reconstructions. Losses and divergences in nats. */
export interface DownstreamFigures {
  /** Mean next-token loss with the activations untouched, and replaced in the three ways. */
  readonly ceLoss: number;
  readonly ceLossReconstructed: number;
  readonly ceLossZeroAblated: number;
  readonly ceLossMeanAblated: number;
  /** (zero − reconstructed) / (zero − original): the share of the loss that the activations save. */
  readonly ceLossScore: number;
  /** The same against the mean activation instead of zero: a stricter baseline. */
  readonly ceLossScoreMean: number;
  /** Mean KL(original ‖ edited) of the next-token distributions. */
  readonly klReconstructed: number;
  readonly klZeroAblated: number;
  readonly klMeanAblated: number;
  /** (zero − reconstructed) / zero: the loss-recovered score by divergence, and against the mean. */
  readonly klScore: number;
  readonly klScoreMean: number;
  /** Share of the positions whose likeliest next token stays the same. */
  readonly top1Agreement: number;
  readonly top1AgreementZeroAblated: number;
  readonly top1AgreementMeanAblated: number;
}

export type TokenFigures = ReconstructionFigures & DownstreamFigures;

/**
 * The figures of summed tokens.
 *
 * @param variance Σ‖x − mean(x)‖²; by default Σ‖x − reference‖²
 */
export function reconstructionFigures(sums: Sums, variance: number = sums.deviations): ReconstructionFigures {
  const n = sums.tokens;
  return {
    l0: sums.l0 / n,
    l1: sums.l1 / n,
    mse: sums.squaredErrors / n,
    explainedVariance: variance > 0 ? 1 - sums.squaredErrors / variance : NaN,
    cosineSimilarity: sums.cosines / n,
    l2Ratio: sums.normRatios / n,
    relativeReconstructionBias: ratio(sums.reconstructionSquares, sums.products),
  };
}

export function downstreamFigures(sums: Sums): DownstreamFigures {
  const perToken = (sum: number) => ratio(sum, sums.downstream);
  const perPrediction = (sum: number) => ratio(sum, sums.predictions);
  const { loss, lossReconstructed, lossZeroAblated, lossMeanAblated } = sums;
  const { klReconstructed, klZeroAblated, klMeanAblated } = sums;
  return {
    ceLoss: perPrediction(loss),
    ceLossReconstructed: perPrediction(lossReconstructed),
    ceLossZeroAblated: perPrediction(lossZeroAblated),
    ceLossMeanAblated: perPrediction(lossMeanAblated),
    ceLossScore: ratio(lossZeroAblated - lossReconstructed, lossZeroAblated - loss),
    ceLossScoreMean: ratio(lossMeanAblated - lossReconstructed, lossMeanAblated - loss),
    klReconstructed: perToken(klReconstructed),
    klZeroAblated: perToken(klZeroAblated),
    klMeanAblated: perToken(klMeanAblated),
    klScore: ratio(klZeroAblated - klReconstructed, klZeroAblated),
    klScoreMean: ratio(klMeanAblated - klReconstructed, klMeanAblated),
    top1Agreement: perToken(sums.agreeReconstructed),
    top1AgreementZeroAblated: perToken(sums.agreeZeroAblated),
    top1AgreementMeanAblated: perToken(sums.agreeMeanAblated),
  };
}

/** How many tokens are measured: all, those on which the model was run on, and those of them with a next token. */
export type TokenCounts = Pick<Sums, 'tokens' | 'downstream' | 'predictions'>;

/** How many tokens stand behind a figure. */
export function tokensBehind(figure: string, counts: TokenCounts): number {
  if (figure.startsWith('ceLoss')) return counts.predictions;
  return /^(kl|top1)/.test(figure) ? counts.downstream : counts.tokens;
}

function ratio(above: number, below: number): number {
  return below === 0 ? NaN : above / below;
}
