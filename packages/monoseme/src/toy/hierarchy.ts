/** Trees of features: a child fires only where its parent does, and of siblings at most one. */
export interface HierarchyOptions {
  readonly roots: number;
  readonly branching: number;
  /** Levels below the roots. */
  readonly depth: number;
}

export interface Hierarchy {
  /** [nFeatures]: the first of a feature's children, which are neighbours; −1 for none. */
  readonly firstChild: Int32Array;
  readonly nChildren: Int32Array;
  /** Features that need no parent: the roots, and those outside the trees. */
  readonly free: Uint32Array;
  /** [nFeatures]: the probability given that the parent fires, such that each fires as often as it should. */
  readonly conditional: Float64Array;
}

/**
 * Features numbered level by level: the roots first (the most frequent), then the children of each in turn.
 *
 * Given its parent, a child is drawn with probability p / p_parent · (1 + Σ siblings' p / p_parent), at most 1; of the
 * siblings drawn together one stays, each with the same chance. The factor makes up for those that are dropped, to first
 * order (SynthSAEBench).
 */
export function hierarchy(options: HierarchyOptions | undefined, probability: Float64Array): Hierarchy {
  const nFeatures = probability.length;
  const firstChild = new Int32Array(nFeatures).fill(-1);
  const nChildren = new Int32Array(nFeatures);
  const conditional = probability.slice();
  const hasParent = new Uint8Array(nFeatures);
  const { roots = 0, branching = 0, depth = 0 } = options ?? {};
  let levelStart = 0;
  let next = Math.min(roots, nFeatures);
  for (let level = 0; level < depth; level++) {
    const levelEnd = next;
    for (let parent = levelStart; parent < levelEnd && next < nFeatures; parent++) {
      const end = Math.min(next + branching, nFeatures);
      firstChild[parent] = next;
      nChildren[parent] = end - next;
      const total = probability.subarray(next, end).reduce((sum, p) => sum + p, 0);
      for (; next < end; next++) {
        hasParent[next] = 1;
        const others = (total - probability[next]) / probability[parent];
        conditional[next] = Math.min(1, (probability[next] / probability[parent]) * (1 + others));
      }
    }
    levelStart = levelEnd;
  }
  const free = Uint32Array.from({ length: nFeatures }, (_, i) => i).filter((i) => hasParent[i] === 0);
  return { firstChild, nChildren, free, conditional };
}
