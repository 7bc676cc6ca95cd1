import type { Measured } from './findings.ts';
import type { StepResult } from './steps.ts';

/** A sentence of the paper beside what was found here. */
export interface Claim {
  readonly id: string;
  readonly claim: string;
  /** The paper's figure, in words. */
  readonly paper: string;
  /** Ours, in words, with its interval; and the number alone where it is one. */
  readonly ours: string;
  readonly value: number | null;
  readonly interval: readonly [number, number] | null;
  /** When the claim counts as holding. */
  readonly rule: string;
  /** null: it cannot be said here. */
  readonly holds: boolean | null;
  readonly command: string;
  readonly madeFrom: Readonly<Record<string, string>>;
}

type Judged = Omit<Claim, 'command' | 'madeFrom'>;

export function judged({ command, madeFrom }: StepResult<unknown>, claim: Judged): Claim {
  return { ...claim, command, madeFrom };
}

/** `94.1 % (93.8 % to 94.4 %)` */
export function shown({ value, interval }: Measured, text: (value: number | undefined) => string): string {
  const own = text(value ?? undefined);
  return interval ? `${own} (${interval.map(text).join(' to ')})` : own;
}
