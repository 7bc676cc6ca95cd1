import type { Dictionary } from '../dictionary/index.ts';
import type { Split } from './class-sets.ts';
import {
  ablatedAccuracy,
  expectAblatable,
  latentEffects,
  mostEffective,
  probeProducts,
} from './concept-ablation.ts';
import type { ProbeExamples } from './examples.ts';
import type { ProbeKind } from './probe.ts';
import type { Share } from './share.ts';
import { fitAndTest, probeSets, type ProbingOptions } from './sparse-probing.ts';

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

/**
 * Does ablating the latents of one class confuse the probe of that class, and no other?
 *
 * Formula  mean over classes c of (fall of c's probe − mean fall of the others) when the n most effective latents of c are
 *          set to 0
 * Source   SAEBench, targeted probe perturbation
 */
export function targetedPerturbation(
  dictionary: Dictionary,
  examples: ProbeExamples,
  classes: ReadonlyMap<string, Split<readonly number[]>>,
  options: PerturbationOptions,
): TargetedPerturbation {
  expectAblatable(dictionary);
  const probes = [...probeSets(classes, options)].map(([name, set]) => {
    const { probe, accuracy } = fitAndTest(options.probe, examples.means, examples.dIn, set);
    const products = probeProducts(probe, dictionary);
    const effects = latentEffects(examples, set.train, products, 'towards');
    return { name, set, probe, products, effects, clean: accuracy };
  });
  const falls = (effects: Float64Array, n: number) => {
    const ablated = mostEffective(effects, n);
    return probes.map(
      ({ set, probe, products, clean }) =>
        clean.value - ablatedAccuracy(examples, set.test, probe, products, ablated).value,
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
