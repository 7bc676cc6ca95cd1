export { plot, smallMultiples } from './plot.ts';
export type { CategoryAxis, Mark, NumericAxis, PlotSpec } from './spec.ts';
