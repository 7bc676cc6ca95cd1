/** How much one step moves log λ for an L0 that is e times the target and stays there. */
const INTEGRAL = 0.01;
/** Of the error of this batch, at once: it damps the swings of an L0 that follows λ within some steps. */
const PROPORTIONAL = 1;
/** Of log θ: while it moves so far, an error should fall to 1/e of itself at the soonest. */
const PACE = 0.5;
/** Of a run, which an error should not outlast however slow the thresholds are. */
const LONGEST_PACE = 1 / 12;
/** Share of a new batch in the smoothed error, and of its change in the smoothed change. */
const RATE = 0.1;
/** Errors beyond this (20 times the target, or a 20th of it) count as this: an L0 of 0 has no logarithm. */
const MOST = 3;

/** What the control remembers. */
export interface SparsityControl {
  /** log of the factor of λ, but for what the last batch adds. */
  integral: number;
  /** log(L0 / target) of the last batch, within ±1. */
  error: number;
  /** Smoothed log(L0 / target); null before the first batch. */
  level: number | null;
  /** Smoothed change of `level` a step. */
  trend: number;
}

export const startOfControl = (): SparsityControl => ({ integral: 0, error: 0, level: null, trend: 0 });

/** The factor of λ that steers L0 towards its target: exp(I + u). */
export function sparsityFactor({ integral, error }: SparsityControl): number {
  return Math.exp(integral + PROPORTIONAL * error);
}

/**
 * Steps in which an error may fall to 1/e of itself; where it falls faster it counts as overcome, and λ goes back before the
 * target is overshot. Where λ acts on thresholds alone (an L0 penalty), L0 follows it late, because log θ moves by no
 * more than the learning rate a step. Under an L1 penalty L0 follows at once.
 */
export function paceSteps(
  coefficient: 'l0Coefficient' | 'l1Coefficient',
  learningRate: number,
  nSteps: number,
): number {
  return coefficient === 'l0Coefficient' ? Math.min(PACE / learningRate, LONGEST_PACE * nSteps) : 0;
}

/**
 * Take in the L0 of a batch. With e = log(L0 / target), u is e within ±1; the level l ← l + 0.1 (e − l), the trend d of l
 * a step is smoothed alike; I ← I + 0.01 (l within ±1, + paceSteps · d).
 *
 * Mutates control
 */
export function followTargetL0_(
  control: SparsityControl,
  l0: number,
  targetL0: number,
  paceSteps: number,
): void {
  const error = within(MOST, Math.log(l0 / targetL0));
  control.error = within(1, error);
  control.level ??= error;
  const change = RATE * (error - control.level);
  control.level += change;
  control.trend += RATE * (change - control.trend);
  control.integral += INTEGRAL * (within(1, control.level) + paceSteps * control.trend);
}

function within(limit: number, value: number): number {
  return Math.min(limit, Math.max(-limit, value));
}
