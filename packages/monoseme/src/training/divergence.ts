import type { StepSums } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import { expectFinite } from '../tensor/index.ts';
import { totalVariance } from './metrics.ts';
import type { TrainState } from './parameters.ts';
import { sidesOf } from './row-layout.ts';

/** Weight of a new batch in the running mean: a spike of a few steps, as after resampling, is no divergence. */
const RATE = 0.05;
/** Squared errors of so many times the variance, once the run had been below the variance, are one. */
const LIMIT = 4;

/**
 * Watches a run for divergence: a loss that is not finite, or a share of variance left unexplained (its running mean,
 * with the variance of the first batch) that rises above 4 after it had fallen below 1, which is what the mean
 * activation alone would leave.
 */
export class DivergenceWatch {
  #variance: number | undefined;
  #unexplained: number | undefined;
  #hasLearnt = false;

  /** Whether a checkpoint of the current weights would be a good one. */
  get isWell(): boolean {
    return !this.#hasLearnt || (this.#unexplained as number) < 1;
  }

  /** What a step that failed says of the run, when its weights are no longer finite. */
  explain(batch: Float32Array, failure: unknown, state: TrainState): unknown {
    if (!(failure instanceof MonosemeError && failure.code === 'ERR_NOT_FINITE')) return failure;
    expectFinite('The activations', batch);
    return diverged(state.step + 1, failure.what);
  }

  /** @throws {MonosemeError} ERR_DIVERGED; ERR_NOT_FINITE where the activations are to blame */
  see(batch: Float32Array, { squaredError, loss, l1 }: StepSums, state: TrainState): void {
    if (!Number.isFinite(loss + l1)) {
      expectFinite('The activations', batch);
      throw diverged(state.step, `The loss is ${loss}.`);
    }
    this.#variance ??= totalVariance(sidesOf(batch, state.layout).target, state.dOut);
    const share = this.#variance > 0 ? squaredError / this.#variance : 0;
    this.#unexplained ??= share;
    this.#unexplained += RATE * (share - this.#unexplained);
    if (this.#unexplained < 1) this.#hasLearnt = true;
    if (this.#hasLearnt && this.#unexplained > LIMIT)
      throw diverged(state.step, `The squared error is ${this.#unexplained.toFixed(1)} times the variance.`);
  }
}

function diverged(step: number, what: string): MonosemeError {
  return new MonosemeError(
    'ERR_DIVERGED',
    `Training diverged at step ${step}. ${what}`,
    'Lower the learning rate.',
  );
}
