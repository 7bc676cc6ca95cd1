import { createWriteStream, existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { finished } from 'node:stream/promises';
import { fileError } from '../errors.ts';
import { atomicWrite, snakeCaseKeys } from '../formats/index.ts';
import type { StepSums } from '../dictionary/index.ts';
import type { TrainState } from './parameters.ts';
import { sidesOf } from './row-layout.ts';

/** One line of `metrics.jsonl`. Losses are in the scale of training, means over the rows of the batch. */
export interface StepMetrics {
  readonly step: number;
  readonly tokens: number;
  /** The whole loss of the architecture: ‖x − x̂‖² + λ‖f‖₁ for the standard one. */
  readonly loss: number;
  readonly squaredError: number;
  readonly l1: number;
  readonly l0: number;
  /** 1 − Σ‖x − x̂‖² / Σ‖x − mean(x)‖² of this batch. */
  readonly explainedVariance: number;
  readonly deadLatents: number;
  /** λ in force, whatever it weighs; 0 for an architecture without a penalty. */
  readonly l1Coefficient: number;
  readonly learningRate: number;
  /** Latents that were given something else to do after this step: resampled, or halves of split ones. */
  readonly resampled: number;
}

export function stepMetrics(
  state: TrainState,
  batch: Float32Array,
  sums: StepSums,
  in_: { l1Coefficient: number; learningRate: number; deadAfterTokens: number; resampled: number },
): StepMetrics {
  const { target } = sidesOf(batch, state.layout);
  const nRows = target.length / state.dOut;
  const deadSteps = Math.ceil(in_.deadAfterTokens / nRows);
  let dead = 0;
  for (const lastFired of state.lastFiredStep) if (state.step - lastFired >= deadSteps) dead++;
  return {
    step: state.step,
    tokens: state.step * nRows,
    loss: sums.loss / nRows,
    squaredError: sums.squaredError / nRows,
    l1: sums.l1 / nRows,
    l0: sums.l0 / nRows,
    explainedVariance: 1 - sums.squaredError / totalVariance(target, state.dOut),
    deadLatents: dead,
    l1Coefficient: in_.l1Coefficient,
    learningRate: in_.learningRate,
    resampled: in_.resampled,
  };
}

/** Σ_b ‖x_b − mean(x)‖² = Σ‖x‖² − B‖mean‖² */
export function totalVariance(batch: Float32Array, dIn: number): number {
  const sums = new Float64Array(dIn);
  let squares = 0;
  for (let start = 0; start < batch.length; start += dIn) {
    for (let i = 0; i < dIn; i++) {
      const value = batch[start + i];
      sums[i] += value;
      squares += value * value;
    }
  }
  const nRows = batch.length / dIn;
  return sums.reduce((rest, sum) => rest - (sum * sum) / nRows, squares);
}

/** The step of a line; undefined for one that was cut off while it was written. */
function stepOf(line: string): number | undefined {
  try {
    return (JSON.parse(line) as { step?: number }).step;
  } catch {
    return undefined;
  }
}

/** Appends metrics as JSON lines, snake_case. A resumed run drops the lines after its checkpoint first. */
export class MetricsFile {
  readonly #stream: ReturnType<typeof createWriteStream>;
  #failure: Error | undefined;

  private constructor(path: string) {
    this.#stream = createWriteStream(path, { flags: 'a' });
    this.#stream.on('error', (error) => (this.#failure = error));
  }

  static async open(path: string, fromStep: number): Promise<MetricsFile> {
    const lines = existsSync(path) ? (await readFile(path, 'utf8')).split('\n').filter(Boolean) : [];
    const kept = lines.filter((line) => (stepOf(line) ?? Infinity) <= fromStep);
    await atomicWrite(path, new TextEncoder().encode(kept.map((line) => `${line}\n`).join('')));
    return new MetricsFile(path);
  }

  write(metrics: StepMetrics): void {
    this.#expectNoFailure();
    this.#stream.write(`${JSON.stringify(snakeCaseKeys({ ...metrics }))}\n`);
  }

  /** @throws {MonosemeError} ERR_DISK_FULL, ERR_FILE when any line could not be written */
  async close(): Promise<void> {
    this.#stream.end();
    await finished(this.#stream).catch((error: Error) => (this.#failure ??= error));
    this.#expectNoFailure();
  }

  #expectNoFailure(): void {
    if (this.#failure) throw fileError(this.#failure, 'write metrics.jsonl');
  }
}
