export {
  type Automata,
  type AutomataOptions,
  automata,
  type AutomatonEdge,
  type AutomatonSystem,
  topTokens,
} from './automata.ts';
export { automatonGraph } from './automaton-graph.ts';
export { type CodedText, codedChunks, type Pass } from './coded-text.ts';
export { controlsAnalysis } from './controls-analysis.ts';
export { type Side, sideBySide, withControls } from './side-by-side.ts';
export { effectsAnalysis, type PinnedSample } from './effects-analysis.ts';
export { type ContextEffects, latentEffects, type LatentEffects } from './latent-effects.ts';
export type { TokenBytes } from './context-text.ts';
export { neurons, principalComponents, randomDirections } from './controls.ts';
export { automataAnalysis } from './automata-analysis.ts';
export { CLEAR_LEAD, proxyAnalysis } from './proxies-analysis.ts';
export type { GroupShape } from './group-shape.ts';
export { type CoActivationEdge, type Groups, latentGroups } from './groups.ts';
export { type CoActivationPart, coActivationGraph, coActivationParts } from './co-activation-graph.ts';
export { groupsAnalysis } from './groups-analysis.ts';
export { type LatentMotif, type Motif, MOTIFS, type Motifs, motifs, motifShares } from './motifs.ts';
export { motifsAnalysis } from './motifs-analysis.ts';
export {
  type NeuronLikeness,
  neuronScatter,
  type NotNeurons,
  notNeurons,
  type Scatter,
} from './neuron-likeness.ts';
export { notNeuronsAnalysis } from './not-neurons-analysis.ts';
export { PairSummer } from './pair-summer.ts';
export type { Pair, PairSums } from './pair-sums.ts';
export { type Persistence, persistence } from './persistence.ts';
export { persistenceAnalysis } from './persistence-analysis.ts';
export { DEFAULT_PROXIES, type Proxy, ProxyScorer } from './proxies.ts';
export type { ProxyIntervals } from './proxy-measures.ts';
export type { SplitHistogram } from './split-histogram.ts';
export {
  type ChosenLatent,
  type MeasuredProxy,
  type ProxyFit,
  type ProxyResult,
  type ProxySearch,
  searchProxies,
} from './proxy-search.ts';
export { type SubspaceOverlap, subspaceOverlap } from './subspace.ts';
export { type Family, familyGraph, familyOf } from './family.ts';
export { type Splitting, splitting } from './splitting.ts';
export { splittingAnalysis } from './splitting-analysis.ts';
export { type MatchSimilarity, matchSimilarity } from './match-similarity.ts';
export { universalityAnalysis } from './universality-analysis.ts';
export { alignTokens, type CutText, type Segments } from './segments.ts';
export { type Match, type Universality, universality, universalityBySegment } from './universality.ts';
export { type Analysis, type AnalysisProvenance, writeAnalysis } from './write-analysis.ts';
