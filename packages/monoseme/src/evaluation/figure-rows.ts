import { figureText, percentText, type ReportTable } from '../report/index.ts';
import type { Interval } from './bootstrap.ts';
import type { EvaluationReport } from './evaluation-report.ts';
import { tokensBehind, type TokenFigures } from './figures.ts';
import type { DensityFigures } from './reconstruction.ts';

type FigureName = keyof (TokenFigures & DensityFigures);

type Row = readonly [label: string, name: FigureName, unit: 'number' | 'percent' | 'nats'];

/** The figures in the order in which people read them. */
const RECONSTRUCTION: readonly Row[] = [
  ['L0, active latents a token', 'l0', 'number'],
  ['L1, sum of latent activations', 'l1', 'number'],
  ['mean squared error', 'mse', 'number'],
  ['explained variance', 'explainedVariance', 'percent'],
  ['cosine of x and its reconstruction', 'cosineSimilarity', 'number'],
  ['norm ratio ‖x̂‖ / ‖x‖', 'l2Ratio', 'number'],
  ['relative reconstruction bias', 'relativeReconstructionBias', 'number'],
];
const DOWNSTREAM: readonly Row[] = [
  ['loss of the model', 'ceLoss', 'nats'],
  ['  with reconstructions', 'ceLossReconstructed', 'nats'],
  ['  with zeros', 'ceLossZeroAblated', 'nats'],
  ['  with the mean activation', 'ceLossMeanAblated', 'nats'],
  ['loss recovered, against zeros', 'ceLossScore', 'percent'],
  ['loss recovered, against the mean', 'ceLossScoreMean', 'percent'],
  ['divergence with reconstructions', 'klReconstructed', 'nats'],
  ['  with zeros', 'klZeroAblated', 'nats'],
  ['  with the mean activation', 'klMeanAblated', 'nats'],
  ['divergence recovered, against zeros', 'klScore', 'percent'],
  ['divergence recovered, against the mean', 'klScoreMean', 'percent'],
  ['same likeliest next token', 'top1Agreement', 'percent'],
];
const DENSITY: readonly Row[] = [
  ['never active on these tokens', 'fracDead', 'percent'],
  ['active on more than 1 % of them', 'fracAbove1Percent', 'percent'],
  ['active on more than 10 % of them', 'fracAbove10Percent', 'percent'],
];

export const FIGURE_HEADER = ['figure', 'value', '95 % interval', 'tokens'];

/** Whether the model was run on from edited activations. */
export const hasDownstream = ({ counts }: Pick<EvaluationReport, 'counts'>): boolean => counts.downstream > 0;

/** Every figure with its confidence interval and the tokens behind it, as a table for people. */
export function figureRows(report: EvaluationReport): string[][] {
  const downstream = hasDownstream(report) ? DOWNSTREAM : [];
  return [...RECONSTRUCTION, ...downstream, ...DENSITY].map((row) => figureRow(report, row));
}

/** The same in tables. */
export function figureTables(report: EvaluationReport): ReportTable[] {
  return Object.entries({
    'Reconstruction of the activations': RECONSTRUCTION,
    ...(hasDownstream(report) && { 'What the model makes of edited activations': DOWNSTREAM }),
    'Density of the latents': DENSITY,
  }).map(([caption, rows]) => ({
    ...{ caption, header: FIGURE_HEADER },
    rows: rows.map((row) => figureRow(report, row)),
  }));
}

function figureRow({ figures, intervals, counts }: EvaluationReport, [label, name, unit]: Row): string[] {
  const interval = intervals?.[name];
  return [
    label,
    written(figures[name], unit),
    interval === undefined ? '' : intervalText(interval, unit),
    tokensBehind(name, counts).toLocaleString('en'),
  ];
}

/** As `2.59 … 2.90 nats`: the unit once. */
function intervalText([low, high]: Interval, unit: Row[2]): string {
  const first = written(low, unit).replace(/ (%|nats)$/, '');
  return `${first} … ${written(high, unit)}`;
}

function written(value: number, unit: Row[2]): string {
  if (unit === 'percent') return percentText(value);
  return unit === 'nats' && Number.isFinite(value) ? `${value.toFixed(4)} nats` : figureText(value);
}
