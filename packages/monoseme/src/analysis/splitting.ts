import { type Share, shareOf } from '../evaluation/index.ts';
import { type CodedText, codedChunks, type Pass } from './coded-text.ts';
import type { PairSums } from './pair-sums.ts';
import { PairSummer } from './pair-summer.ts';
import { MIN_FIRED } from './universality.ts';

/** Masked cosines above this are edges of the refinement graph (Bricken et al. 2023, footnote 32: about 0.4). */
export const MIN_COSINE = 0.4;

export interface SplittingEdge {
  /** Latent of the smaller dictionary, latent of the larger. */
  readonly from: number;
  readonly to: number;
  readonly maskedCosine: number;
}

export interface Splitting {
  readonly nTokens: number;
  /** By `from`, the strongest first. It is a graph, not a tree: a latent may refine several. */
  readonly edges: readonly SplittingEdge[];
  /** [dSae of the smaller]: into how many of the larger each latent goes. */
  readonly children: Uint32Array;
  /** Latents that are active often enough to be compared, of the smaller and of the larger dictionary. */
  readonly nCompared: readonly [number, number];
  /** Tokens on which each latent of the smaller, and of the larger, is active. */
  readonly fired: readonly [Float64Array, Float64Array];
  /** Those of the compared latents of the smaller that go into two or more; undefined when none is compared. */
  readonly split: (Share & { readonly hits: number }) | undefined;
}

/**
 * The refinement graph between a smaller and a larger dictionary of the same activations: which latents split into
 * which.
 *
 * An edge joins two latents whose masked cosine exceeds 0.4: the cosine of their activations over the tokens on which
 * the one is active, or the other, whichever is larger. Latents active on fewer than 20 tokens take no part.
 *
 * @throws {MonosemeError} ERR_MISMATCH, ERR_INTERRUPTED
 */
export async function splitting(smaller: CodedText, larger: CodedText, pass: Pass): Promise<Splitting> {
  const sizes = [smaller.dictionary.config.dSae, larger.dictionary.config.dSae] as const;
  const summer = new PairSummer(pass.backend, ...sizes);
  for await (const { codes } of codedChunks([smaller, larger], pass)) await summer.add(codes[0], codes[1]);
  return splittingOf(await summer.finish());
}

export function splittingOf(sums: PairSums): Splitting {
  const edges: SplittingEdge[] = [];
  const children = new Uint32Array(sums.dA);
  for (const { a, b, maskedCosine } of sums.pairs()) {
    if (maskedCosine <= MIN_COSINE || sums.a.fired[a] < MIN_FIRED || sums.b.fired[b] < MIN_FIRED) continue;
    edges.push({ from: a, to: b, maskedCosine });
    children[a]++;
  }
  edges.sort((x, y) => x.from - y.from || y.maskedCosine - x.maskedCosine || x.to - y.to);
  const common = (fired: Float64Array) => fired.reduce((n, count) => n + (count >= MIN_FIRED ? 1 : 0), 0);
  const nCompared = [common(sums.a.fired), common(sums.b.fired)] as const;
  const hits = children.reduce((n, count) => n + (count >= 2 ? 1 : 0), 0);
  return {
    ...{ nTokens: sums.nTokens, edges, children, nCompared },
    fired: [sums.a.fired, sums.b.fired],
    split: nCompared[0] > 0 ? { hits, ...shareOf(hits, nCompared[0]) } : undefined,
  };
}
