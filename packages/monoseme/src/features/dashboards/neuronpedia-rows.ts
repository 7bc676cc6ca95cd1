import { sha256 } from '../../formats/index.ts';
import type { FeatureRecord } from '../feature-records.ts';
import type { IndexDetails } from '../schema.ts';
import {
  type DashboardExample,
  dashboardExamples,
  dashboardFigures,
  rounded,
  rounded5,
  textsOf,
} from './dashboard-feature.ts';
import type { DecoderRows, SourceNames } from './source-names.ts';

/** Characters of an explanation that an upload may hold. */
const MOST_UPLOADED = 512;

export interface RowContext {
  readonly details: IndexDetails;
  readonly names: SourceNames;
  /** Texts of the tokens, by id. */
  readonly texts: readonly string[];
  /** The same for the bulk files: without zero bytes, which the database refuses. */
  readonly bulkTexts: readonly string[];
  readonly creatorId: string;
  /** ISO time. */
  readonly createdAt: string;
  readonly decoder?: DecoderRows;
}

/** The single rows of a source: one JSON object in a file of that name. */
export function sourceRows({ details, names, creatorId, createdAt }: RowContext): Record<string, object> {
  const { dictionary, corpus } = details;
  const { modelId, layer, setName, sourceId } = names;
  const common = { creatorId, visibility: 'PUBLIC', createdAt };
  const description = `${dictionary.architecture} dictionary of ${dictionary.d_sae} latents at ${dictionary.hook_name}`;
  return {
    release: {
      ...common,
      name: setName,
      description,
      descriptionShort: description,
      urls: [],
      creatorName: 'monoseme',
      creatorNameShort: 'monoseme',
      isNewUi: true,
      featured: false,
      defaultSourceSetName: setName,
      defaultSourceId: sourceId,
      defaultUmapSourceIds: [],
    },
    model: {
      ...common,
      id: modelId,
      displayName: dictionary.model_name,
      displayNameShort: modelId,
      layers: layer + 1,
      neuronsPerLayer: dictionary.d_in,
      owner: '',
      instruct: false,
      inferenceEnabled: false,
      updatedAt: createdAt,
    },
    sourceset: {
      ...common,
      modelId,
      name: setName,
      creatorName: 'monoseme',
      releaseName: setName,
      description,
      type: dictionary.architecture,
      urls: [],
      hasDashboards: true,
      defaultRange: 1,
      defaultShowBreaks: true,
      showDfa: false,
      showCorrelated: false,
      showHeadAttribution: false,
      showUmap: false,
    },
    source: {
      ...common,
      id: sourceId,
      modelId,
      setName,
      hasDashboards: true,
      inferenceEnabled: false,
      dataset: Object.keys(corpus.sources).join(', '),
      num_prompts: corpus.n_contexts,
      num_tokens_in_prompt: corpus.context_size,
    },
  };
}

export function featureRow(record: FeatureRecord, context: RowContext): object {
  const { names, details, texts, creatorId, createdAt, decoder } = context;
  const { latent_index: latent, max_activation: max } = record.figures;
  const { neighbours, neighbour_cosines: cosines } = record.details;
  return {
    modelId: names.modelId,
    layer: names.sourceId,
    index: String(latent),
    sourceSetName: names.setName,
    creatorId,
    createdAt,
    maxActApprox: rounded5(max),
    hasVector: decoder !== undefined,
    vector: decoder ? rounded(decoder.row(latent)) : [],
    vectorLabel: null,
    vectorDefaultSteerStrength: decoder ? rounded5(max) : null,
    hookName: details.dictionary.hook_name,
    // The page reads the cosine of neighbour j at j + 1: the feature itself comes first.
    topkCosSimIndices: [latent, ...neighbours],
    topkCosSimValues: [1, ...rounded(cosines)],
    ...dashboardFigures(record, texts),
  };
}

export function activationRows(record: FeatureRecord, context: RowContext): object[] {
  return dashboardExamples(record, context.details.examples).map((shown, i) =>
    activationRow(record.figures.latent_index, shown, i, context),
  );
}

function activationRow(
  latent: number,
  { example, binMin, binMax, binContains }: DashboardExample,
  i: number,
  { names, bulkTexts, creatorId, createdAt }: RowContext,
): object {
  const values = rounded(example.activations);
  const peak = example.token_index - example.firstToken;
  return {
    id: rowId(names.modelId, names.sourceId, String(latent), String(i), String(example.token_index)),
    modelId: names.modelId,
    layer: names.sourceId,
    index: String(latent),
    tokens: textsOf(example.tokens, bulkTexts),
    values,
    maxValue: values[peak],
    maxValueTokenIndex: peak,
    minValue: Math.min(...values),
    creatorId,
    createdAt,
    binMin,
    binMax,
    binContains,
    qualifyingTokenIndex: peak,
    dfaValues: [],
    dfaTargetIndex: null,
    dfaMaxValue: null,
    lossValues: [],
    logitContributions: null,
    dataSource: null,
    dataIndex: String(example.token_index),
  };
}

/** `typeName` and `explanationModelName` have to be known where the rows are read; the score is for other readers. */
export function explanationRows(
  { explanations }: FeatureRecord,
  { names, creatorId, createdAt }: RowContext,
): object[] {
  return explanations.map(({ latent_index: latent, text, method, model, score, score_name }) => ({
    id: rowId(names.modelId, names.sourceId, String(latent), text, method, model),
    modelId: names.modelId,
    layer: names.sourceId,
    index: String(latent),
    description: text,
    authorId: creatorId,
    typeName: method || null,
    explanationModelName: model || null,
    notes: null,
    createdAt,
    score: Number.isFinite(score) ? score : null,
    score_name: score_name || null,
  }));
}

/** As long as Neuronpedia's own ids, unique by content: the same example has the same id in every export. */
function rowId(...parts: string[]): string {
  return `c${BigInt(`0x${sha256(parts.join('\n'))}`)
    .toString(36)
    .padStart(24, '0')
    .slice(0, 24)}`;
}

/** Bodies of the requests that make model and set. */
export function setupRequests({ details, names }: RowContext): Record<string, object> {
  const { dictionary } = details;
  const description = `${dictionary.d_sae} latents at ${dictionary.hook_name}`;
  return {
    'model-new': { id: names.modelId, layers: names.layer + 1, displayName: dictionary.model_name },
    'source-set-new': {
      name: names.setName,
      modelId: names.modelId,
      description: description.slice(0, 128),
      url: '',
    },
  };
}

/** Body of a request to `feature/upload-batch`, for features with at least one example. */
export function uploadRequest(
  records: readonly FeatureRecord[],
  { details, names, texts }: RowContext,
): object {
  const logits = (tokens: readonly number[], values: readonly number[]) =>
    tokens.map((token, i) => ({ token: texts[token], value: rounded5(values[i]) }));
  return {
    modelId: names.modelId,
    source: names.sourceId,
    features: records.map((record) => ({
      index: record.figures.latent_index,
      density: record.figures.density,
      topLogits: logits(record.details.top_logit_tokens, record.details.top_logits),
      bottomLogits: logits(record.details.bottom_logit_tokens, record.details.bottom_logits),
      ...(record.explanations.length > 0 && {
        explanations: record.explanations.map(({ text, method, model }) => ({
          text: text.slice(0, MOST_UPLOADED),
          ...(method !== '' && { methodName: method }),
          ...(model !== '' && { modelName: model }),
        })),
      }),
      activations: dashboardExamples(record, details.examples).map((shown) => ({
        tokens: textsOf(shown.example.tokens, texts),
        values: rounded(shown.example.activations),
        ...(shown.binMin >= 0 && {
          quantileMin: shown.binMin,
          quantileMax: shown.binMax,
          quantileFraction: shown.binContains,
        }),
      })),
    })),
  };
}
