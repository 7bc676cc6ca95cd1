/** Firings of a few latents on a text without meaning, and the builder that has seen them. */
import type { CoActiveLatents } from '../features/co-activation.ts';
import { FeatureIndexBuilder } from '../features/index.ts';
import type { Codes } from '../kernels/contract.ts';
import { selectBackend } from '../kernels/index.ts';
import { Random } from '../random/index.ts';

export const CONTEXT = 32;
export const D_SAE = 12;
export const OPTIONS = {
  dSae: D_SAE,
  dIn: 3,
  contextSize: CONTEXT,
  seed: 7,
  nTop: 6,
  nIntervals: 12,
  perInterval: 3,
  perFifth: 2,
  nRandom: 4,
  nNearMisses: 3,
  windowRadius: 5,
};

export type Firing = { position: number; activation: number };

/** Random codes: latent j fires with its own density and scale; latent 11 never, latent 10 twice. */
export function randomCodes(nContexts: number, seed: number): { tokens: Uint32Array; firings: Firing[][] } {
  const random = new Random(seed);
  const nTokens = nContexts * CONTEXT;
  const tokens = Uint32Array.from({ length: nTokens }, () => Math.floor(40 * random.uniform() ** 2));
  const firings = Array.from({ length: D_SAE }, (_, latent) => {
    if (latent === 11) return [];
    const density = latent === 10 ? 2 / nTokens : 0.01 * 2 ** (latent / 2);
    const list: Firing[] = [];
    for (let position = 0; position < nTokens; position++) {
      if (random.uniform() >= density) continue;
      const activation = Math.fround(-Math.log(1 - random.uniform()) * 10 ** (latent - 5));
      if (activation > 0) list.push({ position, activation });
    }
    return list;
  });
  return { tokens, firings };
}

export function codesOf(firings: Firing[][], start: number, end: number): Codes {
  const rows: [number, number][][] = Array.from({ length: end - start }, () => []);
  firings.forEach((list, latent) => {
    for (const { position, activation } of list)
      if (position >= start && position < end) rows[position - start].push([latent, activation]);
  });
  const rowPointers = new Uint32Array(rows.length + 1);
  rows.forEach((row, i) => (rowPointers[i + 1] = rowPointers[i] + row.length));
  return {
    nRows: rows.length,
    dSae: D_SAE,
    rowPointers,
    latentIndices: Uint32Array.from(rows.flat(), ([latent]) => latent),
    values: Float32Array.from(rows.flat(), ([, activation]) => activation),
  };
}

/** Element 0 is twice latent 9, element 1 is constant, element 2 is where the token is even. */
function activationsOf({ tokens, firings }: { tokens: Uint32Array; firings: Firing[][] }): Float32Array {
  const x = new Float32Array(3 * tokens.length);
  for (const { position, activation } of firings[9]) x[3 * position] = 2 * activation;
  tokens.forEach((token, i) => x.set([1, 1 - (token % 2)], 3 * i + 1));
  return x;
}

export function build(
  { tokens, firings }: { tokens: Uint32Array; firings: Firing[][] },
  contextsPerBatch: number,
): FeatureIndexBuilder {
  const builder = new FeatureIndexBuilder(tokens, OPTIONS);
  const x = activationsOf({ tokens, firings });
  for (let start = 0; start < tokens.length; start += contextsPerBatch * CONTEXT) {
    const end = Math.min(tokens.length, start + contextsPerBatch * CONTEXT);
    builder.addBatch(codesOf(firings, start, end), x.subarray(3 * start, 3 * end), start);
  }
  return builder;
}

/** What the builder knows of what fires beside each latent. */
export async function coActive(builder: FeatureIndexBuilder): Promise<CoActiveLatents[]> {
  const backend = await selectBackend();
  const found: CoActiveLatents[] = [];
  for await (const one of builder.coActivation(backend).latents()) found.push(one);
  return found;
}
