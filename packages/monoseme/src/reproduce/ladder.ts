/** One dictionary of the ladder. */
export interface Rung {
  /** Its folder, and how the report calls it. */
  readonly name: string;
  readonly model: 'a' | 'b' | 'control';
  readonly dSae: number;
  /** Of its start, and of the order of the documents it learns from: A and B see other tokens first. */
  readonly seed: number;
  readonly learningRate: number;
  /** Fractions of the run at which dead latents are resampled. */
  readonly resampleAt: readonly number[];
}

/**
 * Latents up to which training's defaults are stable. Beyond it the rate falls as 1 / √dSae (Gao et al. 2024), and there
 * and on the shuffled model dead latents are resampled twice instead of four times: thousands of new starts late in the
 * run make it diverge.
 */
const STABLE_D_SAE = 4096;
const LEARNING_RATE = 0.002;

/** What is trained and on how much it is measured. */
export interface Ladder {
  /** On A, smallest first; the middle one has its likes on B and on the control. */
  readonly a: readonly [Rung, Rung, Rung];
  readonly b: Rung;
  readonly control: Rung;
  readonly trainTokens: number;
  /** Held-out tokens for the figures of every dictionary, and for the analyses. */
  readonly evaluationTokens: number;
  readonly analysisTokens: number;
  /** Tokens over which the dictionary is set beside its controls, each of which is looked at as it is. */
  readonly controlTokens: number;
  /** Tokens over which densities are counted. */
  readonly densityTokens: number;
  readonly batchRows: number;
}

function ladder(sizes: readonly [number, number, number]): Pick<Ladder, 'a' | 'b' | 'control'> {
  const rung = (model: Rung['model'], dSae: number, seed: number): Rung => ({
    name: `${model}-${dSae}`,
    model,
    dSae,
    seed,
    resampleAt: dSae > STABLE_D_SAE || model === 'control' ? [0.25, 0.4] : [0.25, 0.4, 0.55, 0.7],
    learningRate: LEARNING_RATE * Math.min(1, Math.sqrt(STABLE_D_SAE / dSae)),
  });
  const [small, middle, large] = sizes;
  return {
    a: [rung('a', small, 0), rung('a', middle, 0), rung('a', large, 0)],
    b: rung('b', middle, 1),
    control: rung('control', middle, 0),
  };
}

/** A/0, A/1, A/2 and B/1 of the paper, and A/1 of the shuffled model: 1, 8 and 32 times the 512 neurons. */
export const FULL_LADDER: Ladder = {
  ...ladder([512, 4096, 16_384]),
  trainTokens: 2_500_000,
  evaluationTokens: 131_072,
  analysisTokens: 500_000,
  controlTokens: 131_072,
  densityTokens: 1_000_000,
  batchRows: 1024,
};

/** Every step, on so little that it takes a minute: what it finds means nothing. */
export const QUICK_LADDER: Ladder = {
  ...ladder([64, 128, 256]),
  trainTokens: 50_000,
  evaluationTokens: 8192,
  analysisTokens: 32_768,
  controlTokens: 16_384,
  densityTokens: 32_768,
  batchRows: 256,
};

/** In the order of training: the largest, which takes longest, at the end. */
export function rungsOf({ a: [small, middle, large], b, control }: Ladder): readonly Rung[] {
  return [small, middle, b, control, large];
}
