/** A histogram of log10 densities; latents that never fire are counted apart. */
export interface DensityHistogram {
  /** [n + 1], log10 of the density. */
  readonly edges: readonly number[];
  /** [n] */
  readonly counts: readonly number[];
  readonly neverFired: number;
}

/** Bins of a quarter of a decade from 10^−8 to 1. */
export function densityHistogram(densities: Float64Array): DensityHistogram {
  const binsPerDecade = 4;
  const lowest = -8;
  const counts = new Array<number>(-lowest * binsPerDecade).fill(0);
  let neverFired = 0;
  for (const density of densities) {
    if (density === 0) neverFired++;
    else {
      const bin = Math.floor((Math.log10(density) - lowest) * binsPerDecade);
      counts[Math.min(Math.max(bin, 0), counts.length - 1)]++;
    }
  }
  const edges = Array.from({ length: counts.length + 1 }, (_, i) => lowest + i / binsPerDecade);
  return { edges, counts, neverFired };
}
