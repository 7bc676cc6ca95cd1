import type { Dictionary } from '../dictionary/index.ts';
import type { Share } from '../evaluation/index.ts';
import type { BinarySet, Split } from './class-sets.ts';
import {
  ablatedAccuracy,
  expectAblatable,
  latentEffects,
  mostEffective,
  probeProducts,
} from './concept-ablation.ts';
import type { ProbeExamples } from './examples.ts';
import type { Probe, ProbeKind } from './probe.ts';
import { fitAndTest, probeSets, type ProbingOptions } from './sparse-probing.ts';
import { turn } from './turn.ts';

export interface PerturbationOptions extends Omit<ProbingOptions, 'ks'> {
  readonly probe: ProbeKind;
  /** Numbers of latents that are ablated. */
  readonly ns: readonly number[];
}

/** Ablating n latents of each class. */
export interface Perturbation {
  readonly n: number;
  /** `intended` − `unintended`: 1 would be a probe that is lost alone. */
  readonly score: number;
  /** How much the accuracy of a class's own probe falls, on average over the classes. */
  readonly intended: number;
  /** The same of the other classes' probes. */
  readonly unintended: number;
}

export interface TargetedPerturbation {
  readonly classes: readonly { readonly name: string; readonly clean: Share }[];
  readonly perturbations: readonly Perturbation[];
}

/** The probe of a class, what latents add to it, and how right it is. */
interface ClassProbe {
  readonly name: string;
  readonly test: BinarySet;
  readonly probe: Probe;
  readonly products: Float64Array;
  readonly effects: Float64Array;
  readonly clean: Share;
}

/**
 * Does ablating the latents of one class confuse the probe of that class, and no other?
 *
 * Formula  mean over classes c of (fall of c's probe − mean fall of the others) when the n most effective latents of c are
 *          set to 0
 * Source   SAEBench, targeted probe perturbation
 */
export async function targetedPerturbation(
  dictionary: Dictionary,
  examples: ProbeExamples,
  classes: ReadonlyMap<string, Split<readonly number[]>>,
  options: PerturbationOptions,
): Promise<TargetedPerturbation> {
  expectAblatable(dictionary);
  const probes: ClassProbe[] = [];
  for (const [name, set] of probeSets(classes, options)) {
    await turn(options.signal);
    const { probe, accuracy } = fitAndTest(options.probe, examples.means, examples.dIn, set);
    const products = probeProducts(probe, dictionary);
    const effects = latentEffects(examples, set.train, products, 'towards');
    probes.push({ name, test: set.test, probe, products, effects, clean: accuracy });
  }
  const falls = (effects: Float64Array, n: number) => {
    const ablated = mostEffective(effects, n);
    return probes.map(
      ({ test, probe, products, clean }) =>
        clean.value - ablatedAccuracy(examples, test, probe, products, ablated).value,
    );
  };
  const perturbations = options.ns.map((n) => {
    let [intended, unintended] = [0, 0];
    probes.forEach(({ effects }, own) => {
      falls(effects, n).forEach((fall, other) => {
        if (other === own) intended += fall / probes.length;
        else unintended += fall / (probes.length * (probes.length - 1));
      });
    });
    return { n, score: intended - unintended, intended, unintended };
  });
  return { classes: probes.map(({ name, clean }) => ({ name, clean })), perturbations };
}
