/**
 * Pseudo-random 32-bit numbers of firings: a sample is the firings with the smallest numbers. So what is sampled
 * depends on the seed alone, not on batches or their order, and two samples can be merged exactly.
 */
export function latentHash(seed: number, latent: number): number {
  return mix(seed ^ Math.imul(latent + 1, 0x9e3779b1));
}

/** The number of the firing of a latent at a position, given the latent's {@link latentHash}. */
export function firingHash(hashOfLatent: number, position: number): number {
  return mix(hashOfLatent + Math.imul(position, 0x85ebca6b));
}

/** A second, practically independent number of the same firing. */
export function secondHash(hash: number): number {
  return mix(hash ^ 0x5bd1e995);
}

/** Finaliser of MurmurHash3 (Appleby): a bijection of 32-bit integers. */
function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** A 32-bit hash of tokens: equal text, equal key. */
export function textKey(tokens: Uint32Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < tokens.length; i++) hash = mix(Math.imul(hash ^ tokens[i], 0x01000193) + i);
  return hash;
}
