export { type AbsorptionOptions, firstLetterAbsorption, type LetterAbsorptions } from './absorption.ts';
export { classesOf, limitedTexts, MIN_EXAMPLES, type Split, splitExamples } from './class-sets.ts';
export { ABLATED_LATENTS } from './concept-ablation.ts';
export { type MinimumDescription, minimumDescription } from './description-length.ts';
export { type BenchmarkSubject, meanExamples, type ProbeExamples, textTokens } from './examples.ts';
export { type LabelFields, type LabelledText, readLabelledText } from './labelled-text.ts';
export { fitProbe, type Probe, type ProbeKind } from './probe.ts';
export { type ProbingOptions, type SparseProbing, sparseProbing } from './sparse-probing.ts';
export { type SpuriousCorrelation, spuriousCorrelation } from './spurious-correlation.ts';
export { seedStability, type Stability } from './stability.ts';
export {
  type PerturbationOptions,
  type TargetedPerturbation,
  targetedPerturbation,
} from './targeted-perturbation.ts';
export { benchmarkReport, type BenchmarkResults, type SkippedMeasure } from './report.ts';
