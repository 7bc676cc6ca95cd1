/**
 * The sparse primitives on which all learning is written, and what every backend must compute.
 *
 * Legend: B = nRows of a batch, dIn = inputs, dOut = outputs, dSae = latents, nnz = kept pairs (row, latent).
 * All matrices are row-major f32. Both weight matrices are latent-major: W_enc [dSae, dIn], W_dec [dSae, dOut].
 *
 * Rules for every primitive
 * - Sizes are checked before any work; a wrong one throws `MonosemeError` ERR_SHAPE, a wrong option ERR_OPTION.
 *   B = 0 is allowed and gives empty results.
 * - Inputs are only read, except where a doc comment says "mutates". While a returned promise is pending the
 *   caller must not write to any array it passed.
 * - The same backend and instruction set give the same bytes, with any number of threads: an element of a result is
 *   always summed by one thread, in one order.
 * - After an error, what a call mutates is undefined.
 */

/** Sparse latent activations of a batch, in CSR form. */
export interface Codes {
  readonly nRows: number;
  readonly dSae: number;
  /** [nRows + 1]; the pairs of row b are `rowPointers[b]` … `rowPointers[b + 1] − 1`. */
  readonly rowPointers: Uint32Array;
  /** [nnz]; ascending within a row. */
  readonly latentIndices: Uint32Array;
  /** [nnz] */
  readonly values: Float32Array;
}

/** The same pairs sorted by latent (CSC form): made once a step and shared by every `updateRows`. */
export interface CodesByLatent {
  readonly nRows: number;
  readonly dSae: number;
  /** [dSae + 1] */
  readonly latentPointers: Uint32Array;
  /** [nnz]; ascending within a latent. */
  readonly rowIndices: Uint32Array;
  /** [nnz]; where the pair stands in the CSR arrays. */
  readonly pairIndices: Uint32Array;
}

/**
 * Which pre-activations `encode` keeps. The kept value is the pre-activation itself.
 *
 * - `threshold`: those strictly greater than `thresholds[j]` (0 for all latents when absent, which is ReLU).
 * - `topK`: the k largest of each row, then only those > 0 (so a row may keep fewer than k).
 *   Ties at the k-th place go to the lower latent index.
 * - `batchTopK`: the k·B largest positive ones of the whole batch. Ties at the last place go to the lower row,
 *   then to the lower latent index. `guess` is a value that a few more than these are thought to reach, as those of the
 *   batch before did: any gives the same codes, a good one sooner.
 */
export type Selection =
  | { readonly kind: 'threshold'; readonly thresholds?: Float32Array }
  | { readonly kind: 'topK'; readonly k: number }
  | { readonly kind: 'batchTopK'; readonly k: number; readonly guess?: number };

/**
 * W_enc in bytes and the bounds of its rounding, by which `encode` rules out latents without working them out in fp32.
 * It may be of the first latents alone, to save memory: the others are worked out.
 *
 * Its owner keeps it beside the weights and in step with them: made by `screen`, made again by `updateRows` when it is
 * passed there. One that belongs to other weights gives wrong codes. Only the kind of backend that made it reads it.
 */
export interface ScreenedWeights {
  /**
   * Each row rotated and in steps of its own, one byte for each input or, where the machine has matrix registers, two:
   * [n ≤ dSae, ·]. Empty on the reference.
   */
  readonly bytes: Int8Array;
  /** Five numbers of each row: its step, and what bounds the error of its products. */
  readonly facts: Float32Array;
}

export interface ScreenInput {
  /** [dSae, dIn] */
  readonly W_enc: Float32Array;
  readonly dIn: number;
  readonly dSae: number;
}

export interface EncodeInput {
  /** [nRows, dIn] */
  readonly x: Float32Array;
  readonly nRows: number;
  readonly dIn: number;
  readonly dSae: number;
  /** [dSae, dIn] */
  readonly W_enc: Float32Array;
  /** [dSae] */
  readonly b_enc: Float32Array;
  readonly selection: Selection;
  /**
   * Only these latents take part (ascending, unique); all when absent. Indices in the result are of the whole.
   * k may exceed their number, though not dSae: then all positive ones are kept.
   */
  readonly latents?: Uint32Array;
  /** Of W_enc as it is now. The codes are the same bytes with it and without. */
  readonly screened?: ScreenedWeights;
}

export interface DecodeInput {
  readonly codes: Codes;
  readonly dOut: number;
  /** [dSae, dOut] */
  readonly W_dec: Float32Array;
  /** [dOut]; zero when absent. */
  readonly b_dec?: Float32Array;
}

export interface ResidualsInput extends DecodeInput {
  /** [nRows, dOut] */
  readonly target: Float32Array;
  /** [nRows, dOut]. Mutated: where the residuals go, `target` itself if it may go; a new array when absent. */
  readonly residuals?: Float32Array;
}

export interface Residuals {
  /** [nRows, dOut]: x̂ − target. */
  readonly residuals: Float32Array;
  /** [nRows]: ‖x̂ − target‖² of each row. */
  readonly squaredErrors: Float64Array;
  /** [nnz]: ⟨residuals[b], W_dec[j]⟩ of every kept pair. */
  readonly products: Float32Array;
}

/** A reconstruction group by group: each group of pairs adds to those before it, and each sum has an error. */
export interface NestedResidualsInput extends DecodeInput {
  /** [nRows, dOut] */
  readonly target: Float32Array;
  /** [nnz]: the group of each pair, below G. */
  readonly groups: Uint8Array;
  /** [G]: w_g of each group. */
  readonly weights: Float32Array;
  /**
   * [H, nRows, dOut], 1 ≤ H ≤ G. Mutated: where the weighted errors of the last H groups go, those of group g to place
   * g mod H.
   */
  readonly residuals: Float32Array;
  /**
   * The groups from here on have had their turn: the weighted errors of the last H groups before it are made, from those
   * of group `end` in `residuals` (if there is one) and the decoder rows of the groups before it.
   */
  readonly end?: number;
}

export interface NestedResiduals {
  /** [H, nRows, dOut]: E_g = Σ_{h ≥ g} w_h e_h, with e_h = x̂_h − target and x̂_h the pairs of groups 0 … h (and b_dec). */
  readonly residuals: Float32Array;
  /** [nRows, G]: ‖e_g‖² of each row; empty with an `end`. */
  readonly squaredErrors: Float64Array;
  /** [nnz]: ⟨E_g[b], W_dec[j]⟩ of every pair, g its group; empty with an `end`. */
  readonly products: Float32Array;
}

export interface SampledProductsInput {
  readonly codes: Codes;
  readonly dOut: number;
  /** [nRows, dOut] */
  readonly rows: Float32Array;
  /** [dSae, dOut] */
  readonly W_dec: Float32Array;
}

export interface AdamOptions {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** 1 for the first update: the bias corrections are 1 − beta^step. */
  readonly step: number;
}

/** A matrix [dSae, width] that is never stored: row j is Σ over the pairs of latent j of coefficient · rows[b]. */
export interface SparseSum {
  readonly byLatent: CodesByLatent;
  /** [nnz], in CSR order: the factor of each pair. */
  readonly coefficients: Float32Array;
  /** [nRows, width] */
  readonly rows: Float32Array;
}

/** The gradient of a weight matrix: a sparse sum of rows, and what is added to it in this order. */
export interface SparseGradient extends SparseSum {
  /** Further sums for the same latents. */
  readonly also?: readonly SparseSum[];
  /** Multiples of the weights themselves: part s of row j is factors[j, s] · weights[j]. */
  readonly pull?: {
    /** [dSae, parts] */
    readonly factors: Float32Array;
    /** Width of each part; they add up to the width. */
    readonly parts: Uint32Array;
  };
}

export interface GradientInput extends SparseGradient {
  /** Length of a weight row: dIn for the encoder, dOut for the decoder. */
  readonly width: number;
  /** [dSae, width] */
  readonly weights: Float32Array;
  /**
   * `unitNorm`: before Adam the part of the gradient along the weight row is removed (g ← g − ⟨g, w⟩ w / ‖w‖²), and
   * after it the row is scaled to length 1 (a row of length 0 is left). Bricken et al. 2023, appendix.
   */
  readonly constraint: 'none' | 'unitNorm';
  /** [dSae]: not 0 of the latents whose rows take part; all when absent. */
  readonly mask?: Uint8Array;
}

/**
 * Adam's moments: f32, or bf16 as the bits of its numbers. A bf16 moment is rounded up or down by a dither of step and
 * place, right on average over the steps: rounded to the nearest, a moment that decays by less than half a unit of its
 * last place would never decay.
 */
export type Moments = Float32Array | Uint16Array;

export interface UpdateRowsInput extends GradientInput {
  /** [dSae, width]. Mutated. */
  readonly weights: Float32Array;
  /** [dSae, width], Adam's m. Mutated. */
  readonly firstMoments: Moments;
  /** [dSae, width], Adam's v, of the same type. Mutated. */
  readonly secondMoments: Moments;
  /** The gradient is multiplied by it (1): where gradients are clipped, limit / norm. */
  readonly gradientScale?: number;
  readonly adam: AdamOptions;
  /** Made again from the new weights, row by row while they are in cache; not beside a mask. Mutated. */
  readonly screened?: ScreenedWeights;
}

export interface PairSumsInput {
  /** [nRows, dA] and [nRows, dB]: of the same rows. */
  readonly a: Codes;
  readonly b: Codes;
  /** How many sums a pair of columns has. */
  readonly width: 1 | 2 | 4;
  /**
   * [dA, dB, width], f64. Mutated: to each pair is added, over the rows on which both columns hold a pair, as many as
   * `width` says of Σ f_a f_b, their number, Σ f_b², Σ f_a².
   */
  readonly sums: Float64Array;
}

/** Which latents fire on each token of a text, and of which of them the company is asked. */
export interface CoActivationInput {
  /** [nTokens + 1]: the latents of token t are `latents[ends[t]]` … `latents[ends[t + 1] − 1]`, ascending. Whole contexts. */
  readonly ends: Uint32Array;
  readonly latents: Uint16Array | Uint32Array;
  /** [dSae]: how often each occurs. */
  readonly nFired: Uint32Array;
  readonly contextSize: number;
  /** The latents asked about are `first` … `end − 1`. */
  readonly first: number;
  readonly end: number;
  /** Others of each that are wanted at most, and times they have to be seen at least. */
  readonly most: number;
  readonly fewest: number;
}

/** The others of each latent asked about, the most telling first. */
export interface CoActivations {
  /** [end − first + 1] */
  readonly pointers: Uint32Array;
  /** The other latent, tokens from this one's firing to its (−2 to 2), and how many firings have it there. */
  readonly others: Uint32Array;
  readonly lags: Int8Array;
  readonly counts: Uint32Array;
}

export interface ProductInput {
  /** [nRows, inner], or [inner, nRows] where it is transposed. */
  readonly a: Float32Array;
  readonly isTransposed?: boolean;
  /** [inner, width] */
  readonly b: Float32Array;
  readonly nRows: number;
  readonly inner: number;
  readonly width: number;
  /** [nRows, width]. Mutated: the product is added to it, and it is the result. Zeros of its own when absent. */
  readonly sum?: Float32Array;
}

export interface CenterInput {
  /** [nRows, width]. Mutated: rows − offset. */
  readonly rows: Float32Array;
  /** [width] */
  readonly offset: Float32Array;
}

export interface ColumnSumsInput {
  /** [nRows, width] */
  readonly rows: Float32Array;
  readonly width: number;
}

export interface GeometricMedianInput {
  /** [nRows, width] */
  readonly points: Float32Array;
  readonly nRows: number;
  readonly width: number;
  /** Weiszfeld steps at most (100). */
  readonly maxIterations: number;
  /** Stop once the estimate moves by less than this (1e-5). */
  readonly tolerance: number;
}

export interface KernelBackend {
  readonly name: 'native' | 'reference';
  /** For people and manifests, as in `native avx512+amx, 2 threads`. */
  readonly description: string;
  readonly threads: number;
  /** Latents from which on screening is faster on this machine, where few of them are active. */
  readonly screeningPaysFrom: number;
  /** Bytes that `screen` makes of a latent of so many inputs. */
  screenedBytes(dIn: number): number;

  /** An array of zeros that lies in memory as this backend reads it fastest. Any other array gives the same results. */
  floats(length: number): Float32Array<ArrayBuffer>;

  /**
   * Gives the memory of arrays back at once, where it can: garbage is collected late, and its arrays are large. They
   * have no elements afterwards. No pending call may read them.
   */
  release(arrays: readonly ArrayBufferView[]): void;

  /**
   * Codes of a batch: preActs[b, j] = ⟨x[b], W_enc[j]⟩ + b_enc[j], kept by `selection`.
   *
   * Cost 2·B·dIn·dSae, a quarter of it with `screened` where few latents are active. The dense pre-activations are
   * never stored. NaN is never kept, and infinity is kept: weights are looked at where a dictionary is opened and where
   * they are updated, not in every call.
   */
  encode(input: EncodeInput): Promise<Codes>;

  /**
   * W_enc in bytes, for `encode`. Cost dSae·dIn: worth it when the weights are used for more than a few rows.
   * `screenedIfItPays` knows where that is.
   */
  screen(input: ScreenInput): Promise<ScreenedWeights>;

  /** x̂[b] = Σ_j codes[b, j] · W_dec[j] + b_dec, [nRows, dOut]. Cost 2·dOut·nnz. */
  decode(input: DecodeInput): Promise<Float32Array>;

  /** ⟨rows[b], W_dec[j]⟩ of every kept pair, [nnz]. Cost 2·dOut·nnz. */
  sampledProducts(input: SampledProductsInput): Promise<Float32Array>;

  /**
   * `decode`, the difference from a target, its squared length, and `sampledProducts` of the difference, in one
   * traversal: the decoder rows of a row are still in cache when they are needed again. Cost 4·dOut·nnz.
   */
  residuals(input: ResidualsInput): Promise<Residuals>;

  /**
   * `residuals` of nested reconstructions, each pair visited twice whatever the number of groups G (with an `end` once).
   * Cost 4·dOut·nnz and 2·G·dOut a row. The weighted errors are the same bits however many of them are held.
   *
   * @throws {MonosemeError} ERR_OPTION when a group has no weight, or the end is not from 1 to G
   */
  nestedResiduals(input: NestedResidualsInput): Promise<NestedResiduals>;

  /** Sort the pairs by latent. */
  transpose(codes: Codes): Promise<CodesByLatent>;

  /**
   * Add to the sums of all pairs of a column of a and one of b: what correlations between columns are made of. Cost Σ over
   * rows of the pairs of a times those of b; a pass over the sums that are touched, so it pays to give many rows at once.
   *
   * Mutates  sums. Rows are added in their order, so the result is the same bits on every backend.
   */
  addPairSums(input: PairSumsInput): Promise<void>;

  /**
   * Latents that fire beside a latent, up to two tokens before or behind it in its context, more often than chance has it.
   *
   * Formula  of each other the lag with the largest count (ties to the earlier); share = count / nFired[latent]; ranked by
   *          share · ln(share · nTokens / nFired[other]), its part of the Kullback-Leibler divergence between what fires
   *          there and what fires anywhere, where that is above 0 (ties to the lower latent)
   * Cost     Σ over the firings of the latents asked about of the latents that fire on five tokens; 5 · dSae for each latent
   *          asked about, and reading the text once: it pays to ask about many
   */
  coActivations(input: CoActivationInput): Promise<CoActivations>;

  /**
   * One Adam step on every row of a weight matrix whose gradient is a sparse sum of rows; the gradient matrix is
   * never stored. Rows without pairs have gradient zero: their moments decay and they move by what is left of
   * them, as in dense Adam.
   *
   * Formula  g_j = scale · (Σ coefficient·rows[b] + pull, constraint), m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g²,
   *          w ← w − lr · (m/(1−β₁^t)) / (√(v/(1−β₂^t)) + ε), constraint.
   * Mutates  weights, firstMoments, secondMoments; each is read and written once.
   *
   * @throws {MonosemeError} ERR_NOT_FINITE when a weight is not finite after it
   */
  updateRows(input: UpdateRowsInput): Promise<void>;

  /**
   * Σ‖g_j‖² over all rows of a gradient, projected where the constraint says so: what clipping by the global norm needs
   * to know before any row can be stepped. It costs a second pass over the pairs.
   */
  squaredGradientNorm(input: GradientInput): Promise<number>;

  /** The dense product a · b, [nRows, width], added to `sum` where there is one. Cost 2·nRows·inner·width. */
  product(input: ProductInput): Promise<Float32Array>;

  /** rows −= offset, row by row. Mutates rows. */
  center(input: CenterInput): Promise<void>;

  /** Σ_b rows[b], [width], f64. */
  columnSums(input: ColumnSumsInput): Promise<Float64Array>;

  /**
   * argmin_y Σ‖x_b − y‖ by Weiszfeld's steps from the mean, distances clamped at 1e-6. [width]
   * @throws {MonosemeError} ERR_OPTION when there are no points.
   */
  geometricMedian(input: GeometricMedianInput): Promise<Float32Array>;
}
