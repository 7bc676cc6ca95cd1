import { type Command, InvalidArgumentError } from 'commander';
import { STORE_DTYPES, type StoreDtype } from '../activations/index.ts';
import type { ActivationSource, DroppedRows, LeftOut, RowOptions } from '../activations/index.ts';
import type { Tokenizer } from '../corpus/index.ts';
import { percentText } from '../report/index.ts';
import { countOption, namesOption, numberOption, repeatableWhole } from './options.ts';
import { compact } from './progress.ts';

/** Rows that are left out for what they hold. */
export interface LeftOutFlags {
  readonly dropSpecial?: boolean;
  readonly dropToken?: number[];
  readonly maxNormRatio?: number;
}

/** Which tokens give a row of activations. */
export interface RowFlags extends LeftOutFlags {
  readonly tokensPerContext?: number;
  readonly roles?: string[];
}

export function addRowFlags(command: Command): Command {
  return addLeftOutFlags(command)
    .option('--tokens-per-context <n>', 'tokens drawn from each context (default: all)', countOption)
    .option(
      '--roles <names>',
      'rows of what these roles of conversations say alone, with commas: assistant,user',
      namesOption,
    );
}

export function addLeftOutFlags(command: Command): Command {
  return command
    .option('--drop-special', "no rows of the tokenizer's special tokens (BOS, padding, …)")
    .option('--drop-token <id>', 'no rows of this token; may be repeated', repeatableWhole)
    .option(
      '--max-norm-ratio <x>',
      'no rows longer than this multiple of the median norm (attention sinks; 10 is usual)',
      numberOption,
    );
}

export function rowOptions(flags: RowFlags, tokenizer: Tokenizer, seed: number): RowOptions {
  const { tokensPerContext, roles } = flags;
  return { tokensPerContext, seed, roles, ...leftOutRows(flags, tokenizer) };
}

export function leftOutRows(
  { dropSpecial, dropToken = [], maxNormRatio }: LeftOutFlags,
  tokenizer: Tokenizer,
): LeftOut {
  const special = dropSpecial ? tokenizer.specialIds : [];
  const dropTokens = [...new Set([...special, ...dropToken])].sort((a, b) => a - b);
  return { dropTokens, maxNormRatio };
}

/** `left out: 5,860 by their ids, …` of the tokens read; undefined where none was left out. */
export function droppedText(dropped: DroppedRows | undefined): string | undefined {
  if (!dropped) return undefined;
  const { read, tokens, notDrawn, norms } = dropped;
  const parts = [
    ['by their ids or roles', tokens],
    ['not drawn', notDrawn],
    ['for their norms', norms],
  ] as const;
  const said = parts
    .filter(([, n]) => n > 0)
    .map(([why, n]) => `${compact(n)} ${why} (${percentText(n / read)})`);
  return `left out of ${compact(read)} tokens: ${said.join(', ')}`;
}

/** The same of a source that was read, as a line for people. */
export const droppedLine = ({ dropped }: ActivationSource): string =>
  dropped ? `rows       ${droppedText(dropped)}\n` : '';

const OTHER_NAMES: Record<string, StoreDtype> = { INT8: 'I8', FP16: 'F16', FP32: 'F32' };

/** An element type as safetensors or programs name it. */
export function storeDtype(text: string): StoreDtype {
  const name = text.toUpperCase();
  const dtype = STORE_DTYPES.find((known) => known === (OTHER_NAMES[name] ?? name));
  if (dtype) return dtype;
  throw new InvalidArgumentError(`It is one of ${STORE_DTYPES.join(', ')}.`);
}
