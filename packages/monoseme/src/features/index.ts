export { Ablator } from './causal-effects.ts';
export { buildFeatureIndex, type BuildFeatureIndexInput, type BuiltIndex } from './build-feature-index.ts';
export { type BuilderOptions, DEFAULT_EXAMPLES, FeatureIndexBuilder } from './feature-index-builder.ts';
export { addExplanations, type Explanation } from './explanations.ts';
export { exportJsonl } from './export-jsonl.ts';
export { importDashboards, openDashboards } from './dashboards/import-dashboards.ts';
export { type DecoderRows, sourceNames } from './dashboards/source-names.ts';
export { writeNeuronpedia } from './dashboards/write-neuronpedia.ts';
export { writeSaedashboard } from './dashboards/write-saedashboard.ts';
export type { Example, ExampleGroup } from './choose-examples.ts';
export {
  type ClusterRow,
  type DetailsRow,
  type DocumentRow,
  type EffectRow,
  type ExamplePlaceRow,
  type ExampleRow,
  type ExplanationRow,
  FeatureIndex,
  type FeatureRow,
  type FigureName,
  type LogitLatentRow,
  openFeatureIndex,
  type TokenLatentRow,
} from './open-feature-index.ts';
export type { IndexDetails, IndexFile } from './schema.ts';
export type { TokenTexts } from './vocabulary.ts';
