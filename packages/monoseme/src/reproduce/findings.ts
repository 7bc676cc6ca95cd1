import type {
  Groups,
  MeasuredProxy,
  Motifs,
  NotNeurons,
  Persistence,
  ProxySearch,
  Splitting,
  Universality,
} from '../analysis/index.ts';
import type { EvaluationReport, Interval } from '../evaluation/index.ts';
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
}

export function universalityFindings(latents: Universality, neurons: Universality): UniversalityFindings {
  return {
    latents: measured(latents.median, latents.interval),
    neurons: measured(neurons.median, neurons.interval),
    nMatched: latents.matches.length - latents.nWithout,
  };
}

export interface SplittingFindings {
  readonly nCompared: number;
  readonly nSplit: number;
  /** Edges of a latent that has any, on average. */
  readonly meanChildren: number | null;
}

export function splittingFindings({ children, nCompared, edges }: Splitting): SplittingFindings {
  const parents = children.filter((n) => n > 0).length;
  return {
    nCompared: nCompared[0],
    nSplit: children.filter((n) => n >= 2).length,
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
  readonly context: number | null;
  readonly tokenInContext: number | null;
  readonly singleToken: number | null;
  readonly trigram: number | null;
}

export function motifFindings({ counts, latents }: Motifs): MotifFindings {
  const nKnown = latents.length - counts.rare;
  const share = (n: number) => (nKnown > 0 ? n / nKnown : null);
  return {
    nKnown,
    context: share(counts.context),
    tokenInContext: share(counts['token-in-context']),
    singleToken: share(counts['single-token']),
    trigram: share(counts.trigram),
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
  readonly directions: number | null;
  readonly random: number | null;
}

export function persistenceFindings({ medians }: Persistence): PersistenceFindings {
  return { directions: medians.directions[0] ?? null, random: medians.random[0] ?? null };
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
}
