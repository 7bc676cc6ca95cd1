import { nearestLatents } from '../dictionary/index.ts';
import type { Codes } from '../kernels/contract.ts';
import { type CodedText, codedChunks, expectAutoencoder, type Pass } from './coded-text.ts';
import { GroupRows, type GroupShape } from './group-shape.ts';
import type { PairSums } from './pair-sums.ts';
import { PairSummer } from './pair-summer.ts';
import { MIN_FIRED } from './universality.ts';

/** Cosine of decoder directions from which two latents are joined, and how many neighbours of a latent are looked at. */
const MIN_COSINE = 0.6;
const NEIGHBOURS = 16;
/** Correlation from which two latents are joined in the co-activation graph. */
const MIN_CORRELATION = 0.3;
/** Groups that are looked into, the largest first. */
const MAX_GROUPS = 64;

export interface CoActivationEdge {
  readonly a: number;
  readonly b: number;
  readonly correlation: number;
  /** Tokens on which both are active, as a share of those on which one is. */
  readonly jaccard: number;
}

export interface Groups {
  readonly nTokens: number;
  /** Strongest first; latents active on fewer than 20 tokens take no part. */
  readonly edges: readonly CoActivationEdge[];
  readonly groups: readonly GroupShape[];
  /** All groups of at least three latents that fire, also those not looked into. */
  readonly nGroups: number;
  readonly nGrouped: number;
}

/**
 * Groups of latents that share a structure: connected parts of the graph of decoder cosines ≥ 0.6 (each latent's 16
 * nearest), with the local principal components of what they reconstruct; beside them the co-activation graph.
 *
 * A dictionary shatters a curved structure when many latents of a group tile few dimensions, one or two active at a
 * time: that is what dilution and mean active say. Parts are joined by single links, because a curve is a chain.
 *
 * Memory  sums of pairs that fire together ({@link PairSummer}); up to 4,096 rows of each of up to 64 groups
 * @throws {MonosemeError} ERR_OPTION for transcoders and crosscoders; ERR_MISMATCH, ERR_INTERRUPTED
 */
export async function latentGroups(text: CodedText, pass: Pass): Promise<Groups> {
  expectAutoencoder(text.dictionary);
  const { dSae, dIn } = text.dictionary.config;
  const { W_dec } = text.dictionary.weights;
  const parts = await cosineClusters(W_dec, dIn, pass);
  const looked = parts.slice(0, MAX_GROUPS).map((latents) => new GroupRows(latents, W_dec, dIn));
  const groupOf = new Int32Array(dSae).fill(-1);
  looked.forEach(({ latents }, group) => latents.forEach((latent) => (groupOf[latent] = group)));
  const summer = new PairSummer(pass.backend, dSae, dSae, { masked: false });
  for await (const { codes } of codedChunks([text], pass)) {
    await summer.add(codes[0], codes[0]);
    addToGroups(looked, groupOf, codes[0]);
  }
  const sums = await summer.finish();
  const firing = (latents: readonly number[]) =>
    latents.filter((latent) => sums.a.fired[latent] >= MIN_FIRED);
  const fired = parts.map(firing).filter((latents) => latents.length >= 3);
  return {
    nTokens: sums.nTokens,
    edges: edgesOf(sums),
    groups: looked.flatMap((rows) => {
      const latents = firing(rows.latents);
      return latents.length >= 3 ? [rows.shape(latents)] : [];
    }),
    nGroups: fired.length,
    nGrouped: fired.reduce((sum, latents) => sum + latents.length, 0),
  };
}

function edgesOf(sums: PairSums): CoActivationEdge[] {
  const edges: CoActivationEdge[] = [];
  for (const { a, b, correlation, together } of sums.pairs()) {
    if (b <= a || correlation < MIN_CORRELATION) continue;
    const [ofA, ofB] = [sums.a.fired[a], sums.a.fired[b]];
    if (ofA >= MIN_FIRED && ofB >= MIN_FIRED)
      edges.push({ a, b, correlation, jaccard: together / (ofA + ofB - together) });
  }
  return edges.sort((x, y) => y.correlation - x.correlation || x.a - y.a || x.b - y.b);
}

/** Connected parts of at least three latents, the largest first. */
async function cosineClusters(W_dec: Float32Array, dIn: number, pass: Pass): Promise<number[][]> {
  const parent = Uint32Array.from({ length: W_dec.length / dIn }, (_, latent) => latent);
  const root = (latent: number): number => {
    while (parent[latent] !== latent) latent = parent[latent] = parent[parent[latent]];
    return latent;
  };
  let latent = 0;
  for await (const { latents, cosines } of nearestLatents(
    pass.backend,
    W_dec,
    dIn,
    NEIGHBOURS,
    pass.signal,
  )) {
    cosines.forEach((cosine, i) => {
      const [a, b] = [root(latent), root(latents[i])];
      if (cosine >= MIN_COSINE) parent[Math.max(a, b)] = Math.min(a, b);
    });
    latent++;
  }
  const parts = new Map<number, number[]>();
  for (let j = 0; j < parent.length; j++) parts.set(root(j), [...(parts.get(root(j)) ?? []), j]);
  return [...parts.values()]
    .filter((part) => part.length >= 3)
    .sort((x, y) => y.length - x.length || x[0] - y[0]);
}

function addToGroups(groups: readonly GroupRows[], groupOf: Int32Array, codes: Codes): void {
  const { nRows, rowPointers, latentIndices, values } = codes;
  const touched = new Map<number, [number, number][]>();
  for (let row = 0; row < nRows; row++) {
    touched.clear();
    for (let i = rowPointers[row]; i < rowPointers[row + 1]; i++) {
      const group = groupOf[latentIndices[i]];
      if (group === -1) continue;
      const pairs = touched.get(group);
      if (pairs) pairs.push([latentIndices[i], values[i]]);
      else touched.set(group, [[latentIndices[i], values[i]]]);
    }
    for (const [group, pairs] of touched) groups[group].add(pairs);
  }
}
