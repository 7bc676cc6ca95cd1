import type { ActivationSamples } from './activation-samples.ts';
import type { NearFirings, Sample } from './sample-slots.ts';

export type ExampleGroup = 'top' | 'interval' | 'quantile' | 'random' | 'near_miss';

export interface Example {
  /** Index into the token corpus. */
  readonly position: number;
  readonly activation: number;
  readonly near: NearFirings;
  readonly group: ExampleGroup;
  /** Place in its group (of its interval), from 0. */
  readonly rank: number;
  /**
   * Which of the intervals of equal width over [0, max] the activation lies in; 0 is the highest. In the group
   * `quantile`: which fifth of the firings, 0 the strongest.
   */
  readonly interval: number;
  /** An earlier example shows the same nine tokens, or an earlier one of the same group is of the same context. */
  readonly repeats: boolean;
}

export interface ExampleCounts {
  readonly nTop: number;
  readonly nIntervals: number;
  readonly perInterval: number;
  /** Examples of each fifth of the firings. */
  readonly perFifth: number;
  readonly nRandom: number;
}

/**
 * The examples of one latent (but near misses), in the order in which they are read: the top group, the intervals from the highest
 * down, a random sample.
 *
 * - Top: largest activations, one a context and one a text. When there are fewer than `nTop`, the largest of the
 *   other samples follow.
 * - Interval i holds activations in (max·(n−1−i)/n, max·(n−i)/n] (the lowest one everything down to 0). Of its
 *   samples those come first that repeat nothing, in order of their hash; they are shown largest first.
 * - Quantile: of each fifth of the firings by activation, some of the random sample.
 * - Random: as drawn, repeats marked. The sample is honest: nothing in it was passed over.
 *
 * @param fifths activations that part the firings in fifths, ascending
 * Source  Bricken et al. 2023, feature panel: top activations and subsample intervals.
 */
export function chooseExamples(
  samples: ActivationSamples,
  latent: number,
  max: number,
  contextSize: number,
  counts: ExampleCounts,
  fifths: readonly number[],
): Example[] {
  if (!(max > 0)) return [];
  const chooser = new Chooser(samples, contextSize, counts.nIntervals, max);
  const byHeight = samples.byHeight(latent);
  const random = samples.random(latent);

  const top = samples.top(latent);
  const taken = new Set(top.map((firing) => firing.position));
  for (const firing of largestFirst(byHeight.concat(random))) {
    if (top.length >= counts.nTop) break;
    if (taken.has(firing.position)) continue;
    taken.add(firing.position);
    top.push(firing);
  }
  chooser.addGroup('top', top.slice(0, counts.nTop));

  const intervals: Sample[][] = Array.from({ length: counts.nIntervals }, () => []);
  for (const firing of byHeight) intervals[chooser.interval(firing.activation)].push(firing);
  for (const candidates of intervals) {
    chooser.addGroup('interval', largestFirst(chooser.freshFirst(candidates).slice(0, counts.perInterval)));
  }
  const byFifth: Sample[][] = Array.from({ length: fifths.length + 1 }, () => []);
  // Those that the random group shows come last.
  for (const firing of [...random.slice(counts.nRandom), ...random.slice(0, counts.nRandom)])
    byFifth[fifths.filter((bound) => firing.activation <= bound).length].push(firing);
  byFifth.forEach((candidates, fifth) => {
    const chosen = largestFirst(chooser.freshFirst(candidates).slice(0, counts.perFifth));
    chooser.addGroup('quantile', chosen, fifth);
  });
  chooser.addGroup('random', random.slice(0, counts.nRandom));
  return chooser.examples;
}

function largestFirst(firings: Sample[]): Sample[] {
  return firings.sort((a, b) => b.activation - a.activation || a.position - b.position);
}

/** Collects examples and knows what has been shown. */
class Chooser {
  readonly examples: Example[] = [];
  readonly #samples: ActivationSamples;
  readonly #contextSize: number;
  readonly #nIntervals: number;
  readonly #max: number;
  readonly #texts = new Set<number>();

  constructor(samples: ActivationSamples, contextSize: number, nIntervals: number, max: number) {
    this.#samples = samples;
    this.#contextSize = contextSize;
    this.#nIntervals = nIntervals;
    this.#max = max;
  }

  interval(activation: number): number {
    const fromTop = Math.floor((1 - activation / this.#max) * this.#nIntervals);
    return Math.min(this.#nIntervals - 1, Math.max(0, fromTop));
  }

  /** The same firings, those first that show neither a known text nor a context twice. */
  freshFirst(firings: Sample[]): Sample[] {
    const texts = new Set(this.#texts);
    const contexts = new Set<number>();
    const fresh: Sample[] = [];
    const others: Sample[] = [];
    for (const firing of firings) {
      const text = this.#samples.textKey(firing.position);
      const context = Math.floor(firing.position / this.#contextSize);
      (texts.has(text) || contexts.has(context) ? others : fresh).push(firing);
      texts.add(text);
      contexts.add(context);
    }
    return fresh.concat(others);
  }

  addGroup(group: ExampleGroup, firings: Sample[], fifth?: number): void {
    const contexts = new Set<number>();
    firings.forEach((firing, rank) => {
      const text = this.#samples.textKey(firing.position);
      const context = Math.floor(firing.position / this.#contextSize);
      const repeats = this.#texts.has(text) || contexts.has(context);
      this.#texts.add(text);
      contexts.add(context);
      const { slot, position, activation } = firing;
      const interval = fifth ?? this.interval(activation);
      this.examples.push({
        position,
        activation,
        near: this.#samples.slots.near(slot),
        group,
        rank,
        interval,
        repeats,
      });
    });
  }
}
