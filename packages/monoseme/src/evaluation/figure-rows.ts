import { figureText, percentText } from '../report/index.ts';
import type { EvaluationReport } from './evaluate.ts';
import { tokensBehind, type TokenFigures } from './figures.ts';
import type { DensityFigures } from './reconstruction.ts';

type FigureName = keyof (TokenFigures & DensityFigures);

/** The figures in the order in which people read them: label, name, how it is written. */
const ROWS: readonly (readonly [string, FigureName, 'number' | 'percent' | 'nats'])[] = [
  ['L0, active latents a token', 'l0', 'number'],
  ['L1, sum of latent activations', 'l1', 'number'],
  ['mean squared error', 'mse', 'number'],
  ['explained variance', 'explainedVariance', 'percent'],
  ['cosine of x and its reconstruction', 'cosineSimilarity', 'number'],
  ['norm ratio ‖x̂‖ / ‖x‖', 'l2Ratio', 'number'],
  ['relative reconstruction bias', 'relativeReconstructionBias', 'number'],
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
  ['never active on these tokens', 'fracDead', 'percent'],
  ['active on more than 1 % of them', 'fracAbove1Percent', 'percent'],
  ['active on more than 10 % of them', 'fracAbove10Percent', 'percent'],
];

export const FIGURE_HEADER = ['figure', 'value', '95 % interval', 'tokens'];

/** Every figure with its confidence interval and the tokens behind it, as a table for people. */
export function figureRows({ figures, intervals, counts }: EvaluationReport): string[][] {
  return ROWS.map(([label, name, unit]) => {
    const interval = intervals?.[name as keyof TokenFigures];
    return [
      label,
      written(figures[name], unit),
      interval === undefined ? '' : interval.map((value) => written(value, unit)).join(' … '),
      tokensBehind(name, counts).toLocaleString('en'),
    ];
  });
}

function written(value: number, unit: 'number' | 'percent' | 'nats'): string {
  if (unit === 'percent') return percentText(value);
  return unit === 'nats' && Number.isFinite(value) ? `${value.toFixed(4)} nats` : figureText(value);
}
