import {
  type Groups,
  type MeasuredProxy,
  type LatentEffects,
  type MatchSimilarity,
  type Motif,
  type Motifs,
  motifShares,
  type NotNeurons,
  type Persistence,
  type ProxySearch,
  type Side,
  type Splitting,
  type Universality,
} from '../analysis/index.ts';
import { type EvaluationReport, type Interval, meanInterval } from '../evaluation/index.ts';
import { hashSeed } from '../random/index.ts';
import type { StepResult } from './steps.ts';

/** A number with its interval; null where it is not defined, so that it can be kept as JSON. */
export interface Measured {
  readonly value: number | null;
  readonly interval: Interval | null;
}

export function measured(value: number | undefined, interval?: Interval): Measured {
  return { value: value !== undefined && Number.isFinite(value) ? value : null, interval: interval ?? null };
}

export interface EvaluationFindings {
  readonly dSae: number;
  readonly l0: Measured;
  readonly explainedVariance: Measured;
  readonly lossRecovered: Measured;
}

export function evaluationFindings({ figures, intervals, densities }: EvaluationReport): EvaluationFindings {
  return {
    dSae: densities.length,
    l0: measured(figures.l0, intervals?.l0),
    explainedVariance: measured(figures.explainedVariance, intervals?.explainedVariance),
    lossRecovered: measured(figures.ceLossScore, intervals?.ceLossScore),
  };
}

export interface DensityFindings {
  readonly nTokens: number;
  readonly nLive: number;
  readonly nUltralow: number;
  readonly nDead: number;
  readonly separated: boolean;
  readonly valley: number | null;
}

export function densityFindings({ clusters, counts }: EvaluationReport): DensityFindings {
  const { nLive, nUltralow, nDead, separated, valley } = clusters;
  return { nTokens: counts.tokens, nLive, nUltralow, nDead, separated, valley: valley ?? null };
}

export interface ProxyFinding {
  readonly proxy: string;
  readonly nTokens: number;
  readonly share: number;
  readonly latent: Measured;
  readonly neuron: Measured;
  readonly lead: Measured;
  /** The latent, and its share of firing tokens that are of the concept. */
  readonly index: number | null;
  readonly specificity: number | null;
  /** Largest correlation of any further control. */
  readonly control: number | null;
}

export function proxyFindings({ results }: ProxySearch): ProxyFinding[] {
  return results.map(proxyFinding);
}

function proxyFinding({ proxy, nTokens, share, latent, neuron, controls, intervals }: MeasuredProxy) {
  const ofControls = controls.flatMap((fit) => (fit ? [fit.correlation] : []));
  return {
    ...{ proxy, nTokens, share },
    latent: measured(latent?.correlation, intervals.latent),
    neuron: measured(neuron?.correlation, intervals.neuron),
    lead: measured(latent && neuron && latent.correlation - neuron.correlation, intervals.lead),
    index: latent?.index ?? null,
    specificity: latent?.specificity ?? null,
    control: ofControls.length > 0 ? Math.max(...ofControls) : null,
  };
}

export interface UniversalityFindings {
  readonly latents: Measured;
  readonly neurons: Measured;
  readonly nMatched: number;
  /** Medians over the matches, and over the matches the correlation of attributions with activations. */
  readonly logitWeights: number | null;
  readonly attributions: number | null;
  readonly attributionsWithActivations: number | null;
}

export function universalityFindings(
  latents: Universality,
  neurons: Universality,
  { medians, withActivations }: MatchSimilarity,
): UniversalityFindings {
  return {
    logitWeights: medians.logitWeights ?? null,
    attributions: medians.attributions ?? null,
    attributionsWithActivations: withActivations.attributions ?? null,
    latents: measured(latents.median, latents.interval),
    neurons: measured(neurons.median, neurons.interval),
    nMatched: latents.matches.length - latents.nWithout,
  };
}

export interface SplittingFindings {
  readonly nCompared: number;
  readonly nSplit: number;
  /** Of the compared ones, with its interval over latents. */
  readonly share: Measured;
  /** Edges of a latent that has any, on average. */
  readonly meanChildren: number | null;
}

export function splittingFindings({ children, nCompared, edges, split }: Splitting): SplittingFindings {
  const parents = children.filter((n) => n > 0).length;
  return {
    nCompared: nCompared[0],
    nSplit: split?.hits ?? 0,
    share: measured(split?.value, split?.interval),
    meanChildren: parents > 0 ? edges.length / parents : null,
  };
}

export interface AutomataFindings {
  /** Systems of at least two latents, and latents that lead to themselves. */
  readonly nSystems: number;
  readonly nLoops: number;
}

export interface MotifFindings {
  /** Latents that are not too rare to say, and their shares. */
  readonly nKnown: number;
  readonly context: Measured;
  readonly tokenInContext: Measured;
  readonly singleToken: Measured;
  readonly trigram: Measured;
}

export function motifFindings(found: Motifs): MotifFindings {
  const shares = motifShares(found);
  const share = (motif: Motif) => measured(shares?.get(motif)?.value, shares?.get(motif)?.interval);
  return {
    nKnown: found.latents.length - found.counts.rare,
    context: share('context'),
    tokenInContext: share('token-in-context'),
    singleToken: share('single-token'),
    trigram: share('trigram'),
  };
}

export interface NeuronFindings {
  readonly correlation: Measured;
  readonly fracAlike: number | null;
}

export function neuronFindings({ median, interval, fracAlike }: NotNeurons): NeuronFindings {
  return { correlation: measured(median, interval), fracAlike: fracAlike ?? null };
}

export interface PersistenceFindings {
  /** Medians between neighbouring tokens. */
  readonly directions: Measured;
  readonly random: Measured;
}

export function persistenceFindings({ medians, intervals }: Persistence): PersistenceFindings {
  return {
    directions: measured(medians.directions[0], intervals.directions[0]),
    random: measured(medians.random[0], intervals.random[0]),
  };
}

export interface CircleFindings {
  /** Of the most diluted group; null without one. */
  readonly nLatents: number | null;
  readonly dimension: number | null;
  readonly anglesCovered: number | null;
}

export function circleFindings({ groups }: Groups): CircleFindings {
  const [first] = groups.toSorted((a, b) => b.dilution - a.dilution);
  return {
    nLatents: first?.latents.length ?? null,
    dimension: first?.dimension ?? null,
    anglesCovered: first?.anglesCovered ?? null,
  };
}

export interface EffectFindings {
  /** Latents that were ablated, and those without which their contexts are said less well. */
  readonly nLatents: number;
  readonly nMissed: number;
  /** Mean change of a token's loss in the contexts, over the latents, in nats; its interval over latents. */
  readonly lossChange: Measured;
}

export function effectFindings(effects: readonly LatentEffects[]): EffectFindings {
  const changes = effects.flatMap(({ lossChange }) => lossChange?.value ?? []);
  const mean = changes.reduce((sum, change) => sum + change, 0) / changes.length;
  return {
    nLatents: changes.length,
    nMissed: changes.filter((change) => change > 0).length,
    lossChange: measured(mean, meanInterval(changes, hashSeed(0, 'effects'))),
  };
}

export interface ControlFindings {
  /** Mean correlation of the best column with the concepts, of the dictionary and of the best control. */
  readonly own: number | null;
  readonly bestControl: { readonly name: string; readonly correlation: number } | null;
}

/** @param sides the dictionary first */
export function controlFindings([own, ...controls]: readonly Side[]): ControlFindings {
  const known = controls.flatMap(({ name, meanCorrelation }) =>
    meanCorrelation === undefined ? [] : [{ name, correlation: meanCorrelation }],
  );
  const [best] = known.sort((a, b) => b.correlation - a.correlation);
  return { own: own.meanCorrelation ?? null, bestControl: best ?? null };
}

/** All that the claims are judged by. */
export interface Findings {
  /** A's, smallest first. */
  readonly evaluations: readonly [
    StepResult<EvaluationFindings>,
    StepResult<EvaluationFindings>,
    StepResult<EvaluationFindings>,
  ];
  readonly density: StepResult<DensityFindings>;
  readonly proxies: StepResult<ProxyFinding[]>;
  readonly controlProxies: StepResult<ProxyFinding[]>;
  readonly universality: StepResult<UniversalityFindings>;
  /** From the smallest into the middle one, and into the largest. */
  readonly splitting: readonly [StepResult<SplittingFindings>, StepResult<SplittingFindings>];
  readonly automata: StepResult<AutomataFindings>;
  readonly neurons: StepResult<NeuronFindings>;
  readonly motifs: StepResult<MotifFindings>;
  readonly controlMotifs: StepResult<MotifFindings>;
  readonly persistence: StepResult<PersistenceFindings>;
  readonly circle: StepResult<CircleFindings>;
  readonly effects: StepResult<EffectFindings>;
  readonly controls: StepResult<ControlFindings>;
}
