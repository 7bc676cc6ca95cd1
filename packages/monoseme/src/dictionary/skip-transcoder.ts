import { type Architecture, encodeBatch } from './architecture.ts';
import { AUX_K } from './aux-k.ts';
import { onePairEach } from './sparse-sum.ts';
import { gradientsOfActs, topK } from './top-k.ts';

/**
 * Skip transcoder (Paulo et al. 2025): TopK from the input of a layer to its output, beside a linear map that takes
 * over what needs no features.
 *
 * Loss       that of TopK, with ŷ = W_dec f + b_dec + W_skip x,  f = ReLU(TopK_k(W_enc x + b_enc))
 * Gradients  those of TopK, with e = ŷ − y;  ∂W_skip = 2/B Σ_b e_b x_bᵀ
 * Start      W_skip = 0; rows of W_enc and W_dec point at the inputs and outputs of the same tokens
 * Deviation  theirs start uniform and at 0; here the rows of W_dec keep length 1
 * Cost       two products of dIn · dOut a row beside those of TopK
 */
export const skipTranscoder: Architecture = {
  name: 'skip-transcoder',
  description: 'TopK from one hook point to another, with a linear skip connection',
  source: 'Paulo et al. 2025',
  rows: 'input-and-target',
  hasSkip: true,
  centersInput: false,
  settings: { k: 32, ...AUX_K },
  defaults: { ...topK.defaults, decoderInit: 'data' },
  async gradients(step) {
    const { backend, x, target, dIn, dOut, nRows, weights, settings } = step;
    const { W_skip } = weights as { W_skip: Float32Array };
    const negated = W_skip.map((value) => -value);
    const [acts] = await Promise.all([
      encodeBatch(step, { kind: 'topK', k: settings.k as number }),
      // What the skip connection leaves to the latents, y + x (−W_skip), in place of y.
      backend.product({ a: x, b: negated, nRows, inner: dIn, width: dOut, sum: target }),
    ]);
    const gradients = await gradientsOfActs(step, acts);
    const products = await backend.product({
      a: x,
      isTransposed: true,
      b: gradients.residuals,
      nRows: dIn,
      inner: nRows,
      width: dOut,
    });
    const factors = new Float32Array(dIn).fill(2 / nRows);
    return { ...gradients, skip: onePairEach(products, dIn, step.buffers.ascending(dIn), factors) };
  },
  finish: topK.finish,
};
