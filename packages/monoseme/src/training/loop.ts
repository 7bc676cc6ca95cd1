import type { ActivationSource, BatchStream } from '../activations/index.ts';
import { architectureNamed } from '../dictionary/index.ts';
import { GOES_ON, interrupted } from '../errors.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import { DivergenceWatch } from './divergence.ts';
import { type StepMetrics, stepMetrics } from './metrics.ts';
import { oneAhead } from './one-ahead.ts';
import { penaltyCoefficient, type TrainOptions } from './options.ts';
import type { TrainState } from './parameters.ts';
import { resample_ } from './resample.ts';
import { prepareRows_ } from './row-layout.ts';
import { StageClock } from './stage-clock.ts';
import { kAt, l1ShareAt, learningRateAt, stepsAt } from './schedule.ts';
import { splitLatents_ } from './split.ts';
import { followTargetL0_, paceSteps, sparsityFactor } from './sparsity-control.ts';
import { deadLatents, trainStep_ } from './step.ts';
import { followWeights_ } from './weight-average.ts';

export interface LoopInput {
  readonly source: ActivationSource;
  readonly backend: KernelBackend;
  readonly options: TrainOptions;
  /** Batches to train on instead of the source's own, mixed with the options' seed: to share one reading of them. */
  readonly batches?: BatchStream;
  readonly signal?: AbortSignal;
  /** Measures where the time goes. */
  readonly clock?: StageClock;
  /** Called after every step, with metrics on the steps that are logged. */
  readonly onStep?: (step: number, nSteps: number, metrics: StepMetrics | undefined) => void;
}

/** What the loop tells the world: logged metrics, and when a checkpoint is due. */
export interface LoopHooks {
  readonly onMetrics: (metrics: StepMetrics) => void;
  readonly checkpoint: () => Promise<void>;
}

/**
 * Steps from `state.step` to `nSteps`: batch, step, resampling, metrics, checkpoints.
 *
 * @returns the metrics of the last step
 * Mutates state
 */
export async function trainLoop_(
  state: TrainState,
  input: LoopInput,
  buffer: BatchStream,
  nSteps: number,
  hooks: LoopHooks,
): Promise<StepMetrics> {
  const { source, backend, options, signal, clock = new StageClock() } = input;
  const timedBackend = clock.timed(backend);
  const architecture = architectureNamed(options.architecture);
  const fullL1 = penaltyCoefficient(options, state.dOut);
  const resampleAfter = stepsAt(options.resampleAt, nSteps);
  const splitAfter = stepsAt(options.splitAt, nSteps);
  const windowSteps = Math.max(1, Math.ceil(options.resampleWindow * nSteps));
  const watch = new DivergenceWatch();
  let last: StepMetrics | undefined;
  for await (const batch of clock.waited(oneAhead(buffer.batches(state.step)))) {
    prepareRows_(batch, state.layout);
    const l1Share = l1ShareAt(state.step, nSteps, options);
    const l1Coefficient = fullL1 * l1Share * sparsityFactor(state.sparsity);
    const learningRate = learningRateAt(state.step, nSteps, options);
    const stepOptions = {
      l1Coefficient,
      unitNormDecoder: options.unitNormDecoder,
      trainDecoderBias: options.decoderBiasInit !== 'none',
      architecture,
      settings: { ...options, k: kAt(state.step, nSteps, options, state.dIn) },
      seed: options.seed,
      progress: state.step / nSteps,
      gradientClipNorm: options.gradientClipNorm,
      deadAfterSteps: Math.ceil(options.deadAfterTokens / options.batchRows),
      adam: {
        learningRate,
        beta1: options.beta1,
        beta2: options.beta2,
        epsilon: options.epsilon,
        step: state.step + 1,
      },
    };
    const sums = await clock
      .step(() => trainStep_(state, timedBackend, batch, stepOptions))
      .catch((failure) => {
        throw watch.explain(batch, failure, state);
      });
    watch.see(batch, sums, state);
    const { targetL0 } = options;
    if (targetL0 !== undefined && l1Share === 1 && architecture.coefficient)
      followTargetL0_(
        state.sparsity,
        sums.l0 / options.batchRows,
        targetL0,
        paceSteps(architecture.coefficient, options.learningRate, nSteps),
      );
    if (state.average) followWeights_(state.average, state, options.emaDecay);
    let resampled = 0;
    if (resampleAfter.has(state.step)) {
      const dead = deadLatents(state, windowSteps);
      resampled += await resample_(state, dead, source, backend, l1Coefficient, options);
    }
    if (splitAfter.has(state.step)) resampled += await splitLatents_(state, source, backend, stepOptions);
    const isLogged = state.step % options.logEvery === 0 || state.step === nSteps || resampled > 0;
    if (isLogged) {
      const { deadAfterTokens } = options;
      last = stepMetrics(state, batch, sums, { l1Coefficient, learningRate, deadAfterTokens, resampled });
      hooks.onMetrics(last);
    }
    input.onStep?.(state.step, nSteps, isLogged ? last : undefined);
    const isInterrupted = signal?.aborted === true && state.step < nSteps;
    const isDue = state.step % options.checkpointEvery === 0 && state.step < nSteps && watch.isWell;
    if (isInterrupted || isDue) await hooks.checkpoint();
    if (isInterrupted) throw interrupted(GOES_ON);
    buffer.reuse?.(batch);
    if (state.step >= nSteps) break;
  }
  if (last === undefined) throw new Error('The loop ended before its first logged step.');
  return last;
}
