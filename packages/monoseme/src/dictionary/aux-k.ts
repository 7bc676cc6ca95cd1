import { type DecoderTurn, encodeBatch, type Gradients, latentProducts, type Step } from './architecture.ts';
import { affine_, plus, sumsByLatent, total } from './sparse-sum.ts';

/** Dead latents are given work after this many tokens, where runs are of millions of tokens. */
export const DEAD_AFTER_TOKENS = 50_000;

/** Settings with which dead latents come back on dictionaries of every size that was tried. */
export const AUX_K = { kAux: 0, auxCoefficient: 1 } as const;

/** What AuxK takes that is not the same for all architectures. */
export interface AuxiliaryInput {
  /** The latents that are given work, ascending; `idleLatents` when absent. */
  readonly idle?: Uint32Array;
  /** Gives −e, which it may make where what AuxK leaves will be; the residuals of the gradients when absent. */
  explained?(place: Float32Array): Float32Array;
  /** [nRows, dOut]: where what AuxK leaves goes; a buffer of its own when absent. */
  readonly residuals?: Float32Array;
  /** Rows of the decoder's gradient that no idle latent takes: what AuxK leaves is in their place, in turns with them. */
  readonly lent?: {
    readonly rows: Float32Array;
    /** Makes them again, from decoder rows of other latents. */
    restore(): Promise<unknown>;
  };
}

/** Share of the run in which faint latents are given work; what they disturbed settles in the rest. */
const FAINT_SHARE = 0.8;

/**
 * Adds AuxK to the gradients of a step (Gao et al. 2024, appendix A.2): dead latents are asked to explain what the
 * living ones leave.
 *
 * Loss       α · V(x)/V(e) · 1/B Σ_b ‖ê_b − e_b‖²,  e = x − x̂ (held fixed),  ê = Σ_j z_j W_dec[j],
 *            z = the kAux largest positive pre-activations of a row among the dead latents;
 *            V is the variance about the mean of the batch, summed over the elements.
 *            Neither side has b_dec: the residual is what is left after it.
 * Gradients  with r = ê − e and c = α V(x)/V(e):  δ_bj = 2c/B ⟨r_b, W_dec[j]⟩,  ∂W_dec[j] += 2c/B Σ_b z_bj r_b,
 *            and through the encoder as ever (so a dead latent's encoder is revived too)
 * kAux       0 stands for as many as are active in a row on average: with the d/2 of the paper, dead latents explain the
 *            residual together, by directions that are no features
 * Faint      with `faintBelow` latents count as dead too, in the first 0.8 of a run, whose gain ⟨W_enc[j], W_dec[j]⟩ is
 *            below it: by how much a latent answers to its own direction, 1 or so for one that stands for a feature, however
 *            rare. What is left over is weak and fires now and then, so it is never dead, and learns next to nothing.
 *            Transcoders do not take it: their two sides have no such product
 * Computed   −r = −ê − (−e) with the values of z negated, whose residual −e is: no batch is copied, and each array of pairs takes the
 *            place of the one it is made from
 * Deviation  theirs divides the main loss by the variance of the first batch; here the auxiliary one is multiplied
 *            by that of this batch, which is the same ratio. No residual (V(e) = 0) means no loss.
 */
export async function withAuxK(
  step: Step,
  gradients: Gradients,
  { idle: given, explained = () => gradients.residuals, residuals: place, lent }: AuxiliaryInput = {},
): Promise<Gradients> {
  const { kAux = 0, auxCoefficient = 0 } = step.settings;
  const idle = given ?? (await idleLatents(step));
  if (idle.length === 0) return gradients;
  const { backend, buffers, dOut, nRows, weights } = step;
  const residuals = lent?.rows ?? place ?? buffers.floats('auxiliary residuals', gradients.residuals.length);
  const target = explained(residuals);
  const varianceLeft = varianceAboutMean(target, dOut);
  if (!(varianceLeft > 0)) {
    await lent?.restore();
    return gradients;
  }
  const k = kAux > 0 ? kAux : Math.max(1, Math.round(gradients.sums.l0 / nRows));
  const codes = await encodeBatch(step, { kind: 'topK', k: Math.min(k, idle.length) }, { latents: idle });
  const negated = { ...codes, values: affine_(codes.values, codes.values, -1, 0) };
  const input = { codes: negated, dOut, W_dec: weights.W_dec, target, residuals };
  const [byLatent, errors] = await Promise.all([backend.transpose(codes), backend.residuals(input)]);
  const weight =
    (auxCoefficient * (step.targetVariance ?? varianceAboutMean(step.target, dOut))) / varianceLeft;
  const factor = (2 * weight) / nRows;
  const deltas = affine_(errors.products, errors.products, -factor, 0);
  const preActs = sumsByLatent(codes, deltas).map((sum, j) => sum + gradients.preActs[j]);
  // The values are needed again where the residuals are.
  const coefficients = lent ? buffers.floats('auxiliary coefficients', deltas.length) : negated.values;
  const leave = () => backend.residuals({ ...input, target: explained(residuals) });
  return {
    ...gradients,
    encoder: plus(gradients.encoder, { byLatent, coefficients: deltas, rows: step.x }),
    decoder: plus(gradients.decoder, {
      byLatent,
      coefficients: affine_(coefficients, negated.values, factor, 0),
      rows: residuals,
    }),
    ...(lent && { turns: turnsOf(idle, step.dSae, leave, lent.restore) }),
    preActs,
    b_enc: preActs,
    sums: { ...gradients.sums, loss: gradients.sums.loss + weight * total(errors.squaredErrors) },
  };
}

/** The idle latents come first: what AuxK leaves is there when the first turn begins. */
function turnsOf(
  idle: Uint32Array,
  dSae: number,
  leave: () => Promise<unknown>,
  restore: () => Promise<unknown>,
): DecoderTurn[] {
  let isLeft = true;
  const isIdle = new Uint8Array(dSae);
  for (const latent of idle) isIdle[latent] = 1;
  const ofIdle = async () => {
    if (!isLeft) await leave();
    isLeft = true;
  };
  const ofOthers = async () => {
    await restore();
    isLeft = false;
  };
  return [
    { mask: isIdle, begin: ofIdle },
    { mask: isIdle.map((idle) => 1 - idle), begin: ofOthers },
  ];
}

/** The latents that AuxK gives work, ascending: the dead and the faint; none where it is off. */
export async function idleLatents(step: Step): Promise<Uint32Array> {
  const { auxCoefficient = 0, faintBelow = 0 } = step.settings;
  if (auxCoefficient === 0) return new Uint32Array();
  const dead = step.deadLatents();
  if (faintBelow === 0 || step.progress >= FAINT_SHARE) return dead;
  const gains = await latentProducts(step, step.weights.W_enc, step.weights.W_dec);
  const isDead = new Set(dead);
  return step.buffers.ascending(step.dSae).filter((j) => gains[j] < faintBelow || isDead.has(j));
}

/** 1/B Σ_b ‖row_b − mean‖² */
export function varianceAboutMean(rows: Float32Array, width: number): number {
  const nRows = rows.length / width;
  const sums = new Float64Array(width);
  let squares = 0;
  for (let start = 0; start < rows.length; start += width) {
    for (let i = 0; i < width; i++) {
      const value = rows[start + i];
      sums[i] += value;
      squares += value * value;
    }
  }
  return (
    Math.max(
      0,
      sums.reduce((rest, sum) => rest - (sum * sum) / nRows, squares),
    ) / nRows
  );
}
