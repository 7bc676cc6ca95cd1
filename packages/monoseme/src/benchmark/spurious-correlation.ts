import type { Dictionary } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import type { Share } from '../evaluation/index.ts';
import { hashSeed } from '../random/index.ts';
import { againstEachOther, type BinarySet, expectEnough, shuffled, type Split } from './class-sets.ts';
import {
  ablatedAccuracy,
  expectAblatable,
  latentEffects,
  mostEffective,
  probeProducts,
} from './concept-ablation.ts';
import type { ProbeExamples } from './examples.ts';
import type { LabelledText } from './labelled-text.ts';
import { fitAndTest } from './sparse-probing.ts';
import type { PerturbationOptions } from './targeted-perturbation.ts';
import { turn } from './turn.ts';

/** Less to win back than this is no measurement. */
const MIN_GAP = 0.001;

/** Ablating the latents of one label to clean the biased probe of it, tested on the other. */
export interface Removal {
  /** The label whose latents are ablated. */
  readonly ablated: string;
  /** Accuracy of the biased probe on texts in which only the other label counts, and of a probe made for that. */
  readonly biased: Share;
  readonly clean: Share;
  /** By number of ablated latents: the accuracy then, and the share of the gap that is won back. */
  readonly scores: readonly {
    readonly n: number;
    readonly accuracy: Share;
    readonly score: number | undefined;
  }[];
}

export interface SpuriousCorrelation {
  /** Values of the two labels; the first of each go together in the biased texts. */
  readonly concept: readonly [string, string];
  readonly spurious: readonly [string, string];
  readonly removals: readonly [ofSpurious: Removal, ofConcept: Removal];
  /** Which of the two counts: where the biased probe is worse, because that label is the one it neglects. */
  readonly counted: 0 | 1;
}

/**
 * A probe is fitted where two labels always go together. Does ablating the latents of one leave a probe of the other?
 *
 * Formula  (accuracy after − biased accuracy) / (clean accuracy − biased accuracy); without a value where the gap is below
 *          0.001
 * Source   SAEBench, spurious correlation removal (SHIFT, Marks et al. 2024)
 *
 * @param texts with two labels: the concept and the spurious one, both of two values
 * @throws {MonosemeError} ERR_LABELS
 */
export async function spuriousCorrelation(
  dictionary: Dictionary,
  examples: ProbeExamples,
  texts: readonly LabelledText[],
  split: Split<readonly number[]>,
  options: PerturbationOptions,
): Promise<SpuriousCorrelation> {
  expectAblatable(dictionary);
  const [concept, spurious] = [twoValues(texts, 0), twoValues(texts, 1)];
  const train = biasedSets(texts, split.train, concept, spurious, options.perClass, options.seed);
  const test = biasedSets(
    texts,
    split.test,
    concept,
    spurious,
    Math.ceil(options.perClass / 4),
    options.seed,
  );
  for (const [i, name] of QUADRANTS.entries())
    expectEnough(`${concept[name[0]]} and ${spurious[name[1]]}`, {
      train: train.quadrants[i],
      test: test.quadrants[i],
    });
  const probeOf = async (name: 'concept' | 'spurious' | 'biased') => {
    await turn(options.signal);
    const set = { train: train[name], test: test[name] };
    const fitted = fitAndTest(options.probe, examples.means, examples.dIn, set);
    return { ...fitted, products: probeProducts(fitted.probe, dictionary) };
  };
  const probes = {
    concept: await probeOf('concept'),
    spurious: await probeOf('spurious'),
    biased: await probeOf('biased'),
  };
  const removal = (ablated: 'concept' | 'spurious'): Removal => {
    const tested = ablated === 'spurious' ? 'concept' : 'spurious';
    const { probe, products } = probes.biased;
    const effects = latentEffects(examples, train[ablated], probes[ablated].products, 'any');
    const after = (latents: ReadonlySet<number>) =>
      ablatedAccuracy(examples, test[tested], probe, products, latents);
    const [biased, clean] = [after(new Set()), probes[tested].accuracy];
    const gap = clean.value - biased.value;
    const scores = options.ns.map((n) => {
      const accuracy = after(mostEffective(effects, n));
      return { n, accuracy, score: gap < MIN_GAP ? undefined : (accuracy.value - biased.value) / gap };
    });
    return { ablated, biased, clean, scores };
  };
  const removals = [removal('spurious'), removal('concept')] as const;
  const counted = removals[0].biased.value <= removals[1].biased.value ? 0 : 1;
  return { concept, spurious, removals, counted };
}

/** The two values of a label, in alphabetical order. */
function twoValues(texts: readonly LabelledText[], field: number): [string, string] {
  const names = [...new Set(texts.map(({ labels }) => labels[field]))].sort();
  if (names.length === 2) return [names[0], names[1]];
  throw new MonosemeError(
    'ERR_LABELS',
    `A label of spurious correlation removal has ${names.length} values.`,
    'Both labels need exactly two.',
  );
}

/** Concept and spurious value, by number. */
const QUADRANTS = [
  [0, 0],
  [0, 1],
  [1, 0],
  [1, 1],
] as const;

/** One side of the split: sets in which only the concept counts, only the spurious label, and both at once. */
function biasedSets(
  texts: readonly LabelledText[],
  side: readonly number[],
  concept: readonly [string, string],
  spurious: readonly [string, string],
  perClass: number,
  seed: number,
) {
  const quadrants = QUADRANTS.map(([c, s]) => {
    const of = side.filter((i) => texts[i].labels[0] === concept[c] && texts[i].labels[1] === spurious[s]);
    return shuffled(of, hashSeed(seed, 'quadrant', c, s));
  });
  const m = Math.min(Math.ceil(perClass / 2), ...quadrants.map(({ length }) => length));
  const [both, conceptOnly, spuriousOnly, neither] = quadrants.map((of) => of.slice(0, m));
  const set = (own: number[], others: number[]): BinarySet => againstEachOther(own, others);
  return {
    quadrants,
    concept: set([...both, ...conceptOnly], [...spuriousOnly, ...neither]),
    spurious: set([...both, ...spuriousOnly], [...conceptOnly, ...neither]),
    biased: set(quadrants[0].slice(0, 2 * m), quadrants[3].slice(0, 2 * m)),
  };
}
