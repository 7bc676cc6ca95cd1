import { type Architecture, encodeBatch } from './architecture.ts';
import { AUX_K, idleLatents, varianceAboutMean } from './aux-k.ts';
import { onePairEach } from './sparse-sum.ts';
import { gradientsOfActs, K_WARM_UP, topK } from './top-k.ts';

/**
 * Skip transcoder (Paulo et al. 2025): TopK from the input of a layer to its output, beside a linear map that takes
 * over what needs no features.
 *
 * Loss       that of TopK, with ŷ = W_dec f + b_dec + W_skip x,  f = ReLU(TopK_k(W_enc x + b_enc))
 * Gradients  those of TopK, with e = ŷ − y;  ∂W_skip = 2/B Σ_b e_b x_bᵀ
 * Start      W_skip = 0; rows of W_enc and W_dec point at the inputs and outputs of the same tokens
 * Deviation  theirs start uniform and at 0; here the rows of W_dec keep length 1
 * Cost       two products of dIn · dOut a row beside those of TopK
 * Computed   what the skip connection leaves to the latents, y + x (−W_skip), where its residuals will be
 */
export const skipTranscoder: Architecture = {
  name: 'skip-transcoder',
  description: 'TopK from one hook point to another, with a linear skip connection',
  source: 'Paulo et al. 2025',
  rows: 'input-and-target',
  hasSkip: true,
  centersInput: false,
  settings: { k: 32, ...K_WARM_UP, ...AUX_K },
  defaults: { ...topK.defaults, decoderInit: 'data' },
  async gradients(step) {
    const { backend, buffers, x, dIn, dOut, nRows, weights, settings } = step;
    const target = buffers.floats('residuals', step.target.length);
    target.set(step.target);
    // −W_skip, and then the product of its gradient.
    const ofSkip = buffers.floats('skip connection', dIn * dOut);
    ofSkip.set(weights.W_skip as Float32Array);
    for (let i = 0; i < ofSkip.length; i++) ofSkip[i] = -ofSkip[i];
    const [acts] = await Promise.all([
      encodeBatch(step, { kind: 'topK', k: settings.k as number }),
      backend.product({ a: x, b: ofSkip, nRows, inner: dIn, width: dOut, sum: target }),
    ]);
    const idle = await idleLatents(step);
    const targetVariance = idle.length > 0 ? varianceAboutMean(target, dOut) : undefined;
    const gradients = await gradientsOfActs({ ...step, target, targetVariance }, acts, { idle });
    const products = await backend.product({
      a: x,
      isTransposed: true,
      b: gradients.residuals,
      nRows: dIn,
      inner: nRows,
      width: dOut,
      sum: ofSkip.fill(0),
    });
    const factors = new Float32Array(dIn).fill(2 / nRows);
    return { ...gradients, skip: onePairEach(products, dIn, buffers.ascending(dIn), factors) };
  },
  finish: topK.finish,
};
