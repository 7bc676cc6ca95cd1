import type { LatentEdit } from '../interventions/index.ts';

/** How a latent's activation f is changed at every token: to f + s · unit, to s · f, or to s · unit. */
export type SteerMode = 'add' | 'scale' | 'clamp';

export interface SteerRequest {
  readonly prompt: string;
  readonly latent_index: number;
  readonly mode: SteerMode;
  /** One continuation each. */
  readonly strengths: readonly number[];
  /** Activation that a strength of 1 stands for, in `add` and `clamp`: the latent's largest, as the page shows it. */
  readonly unit: number;
  /** Tokens to write. */
  readonly tokens: number;
  /** 0 for the likeliest token each time. */
  readonly temperature: number;
  readonly seed: number;
}

export interface SteeredText {
  readonly prompt: number[];
  readonly continuations: {
    /** Null for the model as it is. */
    readonly strength: number | null;
    readonly tokens: number[];
    /** Log-probability of each token as the changed model sees it, and as the model itself does after the same text. */
    readonly log_probs: number[];
    readonly original_log_probs: number[];
  }[];
}

/** The edit of each strength. */
export function steerEdits({ latent_index, mode, strengths, unit }: SteerRequest): LatentEdit[][] {
  const inUnits = mode === 'scale' ? 1 : unit;
  return strengths.map((strength) => [{ latent: latent_index, op: mode, value: strength * inUnits }]);
}
