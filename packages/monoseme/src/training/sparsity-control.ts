/** How much one step moves log λ for an L0 that is e times the target; λ follows in a few hundred steps. */
const INTEGRAL = 0.01;
/** Of the present error, at once: it damps the swings that a slow dictionary and a patient control would make together. */
const PROPORTIONAL = 1;

/** What the control remembers: the sum of its errors times 0.01, and the last error. */
export interface SparsityControl {
  integral: number;
  error: number;
}

/** The factor of λ that steers L0 towards its target: exp(I + u). */
export function sparsityFactor({ integral, error }: SparsityControl): number {
  return Math.exp(integral + PROPORTIONAL * error);
}

/** Take in the L0 of a batch: u = log(L0 / target), within ±1, and I ← I + 0.01 u. */
export function followTargetL0_(control: SparsityControl, l0: number, targetL0: number): void {
  control.error = Math.min(1, Math.max(-1, Math.log(l0 / targetL0)));
  control.integral += INTEGRAL * control.error;
}
