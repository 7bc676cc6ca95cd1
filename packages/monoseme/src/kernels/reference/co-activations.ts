import { checkCoActivations, corruptCodes } from '../check.ts';
import type { CoActivationInput, CoActivations } from '../contract.ts';

/** Tokens on either side of a firing that are looked at. */
const REACH = 2;

interface Company {
  readonly other: number;
  readonly lag: number;
  readonly count: number;
  readonly score: number;
}

/** See `KernelBackend.coActivations`. */
export function coActivations(input: CoActivationInput): CoActivations {
  checkCoActivations(input);
  const positions = positionsByLatent(input);
  const pointers = new Uint32Array(input.end - input.first + 1);
  const found: Company[] = [];
  for (let latent = input.first; latent < input.end; latent++) {
    found.push(...ranked(input, latent, countsAround(input, positions[latent])));
    pointers[latent - input.first + 1] = found.length;
  }
  return {
    pointers,
    others: Uint32Array.from(found, ({ other }) => other),
    lags: Int8Array.from(found, ({ lag }) => lag),
    counts: Uint32Array.from(found, ({ count }) => count),
  };
}

/** The tokens on which each latent fires. @throws {MonosemeError} ERR_SHAPE when the arrays do not belong together */
function positionsByLatent({ ends, latents, nFired }: CoActivationInput): number[][] {
  const positions = Array.from(nFired, (): number[] => []);
  if (ends[0] !== 0 || ends[ends.length - 1] !== latents.length)
    throw corruptCodes('ends does not go from 0 to the number of latents.');
  for (let token = 0; token + 1 < ends.length; token++) {
    if (ends[token] > ends[token + 1]) throw corruptCodes(`ends goes back at token ${token}.`);
    const firing = latents.subarray(ends[token], ends[token + 1]);
    if (firing.some((latent, i) => i > 0 && latent <= firing[i - 1]))
      throw corruptCodes(`The latents of token ${token} do not ascend.`);
    for (const latent of firing) {
      if (latent >= nFired.length) throw corruptCodes(`latents holds ${latent} (dSae is ${nFired.length}).`);
      positions[latent].push(token);
    }
  }
  nFired.forEach((n, latent) => {
    if (n !== positions[latent].length)
      throw corruptCodes(
        `nFired says ${n} of latent ${latent}, which occurs ${positions[latent].length} times.`,
      );
  });
  return positions;
}

/** How often each latent fires at each lag from some positions: [2 · REACH + 1, dSae]. */
function countsAround({ ends, latents, nFired, contextSize }: CoActivationInput, positions: number[]) {
  const dSae = nFired.length;
  const counts = new Uint32Array((2 * REACH + 1) * dSae);
  for (const position of positions) {
    const contextStart = position - (position % contextSize);
    const first = Math.max(contextStart, position - REACH);
    const last = Math.min(contextStart + contextSize - 1, position + REACH);
    for (let token = first; token <= last; token++)
      for (const other of latents.subarray(ends[token], ends[token + 1]))
        counts[(token - position + REACH) * dSae + other]++;
  }
  return counts;
}

function ranked(input: CoActivationInput, latent: number, counts: Uint32Array): Company[] {
  const { ends, nFired, most, fewest } = input;
  const found: Company[] = [];
  for (let other = 0; other < nFired.length; other++) {
    const own = Array.from({ length: 2 * REACH + 1 }, (_, l) => counts[l * nFired.length + other]);
    const count = Math.max(...own);
    const share = count / nFired[latent];
    const score = share * Math.log((share * (ends.length - 1)) / nFired[other]);
    if (other !== latent && count >= fewest && score > 0)
      found.push({ other, lag: own.indexOf(count) - REACH, count, score });
  }
  return found.sort((a, b) => b.score - a.score || a.other - b.other).slice(0, most);
}
