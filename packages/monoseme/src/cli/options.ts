import { statSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { MonosemeError } from '../errors.ts';
import { snakeCase } from '../formats/index.ts';

/** `learningRate` → `--learning-rate` */
export function flagOf(name: string): string {
  return `--${snakeCase(name).replaceAll('_', '-')}`;
}

/** A number on the command line; `1e6`, `1.5M` and `64k` are fine. */
export function numberOption(text: string): number {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)([kMG]?)$/i.exec(text.trim().replaceAll('_', ''));
  if (!match) throw new InvalidArgumentError('It takes a number, as in 4096, 1e-3 or 1.5M.');
  const factor = { k: 1e3, m: 1e6, g: 1e9 }[match[2].toLowerCase()] ?? 1;
  return Number((Number(match[1]) * factor).toPrecision(15));
}

/** A whole number from 0, as a port, a count or a seed. */
export function wholeOption(text: string): number {
  const value = numberOption(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new InvalidArgumentError('It takes a whole number of at least 0.');
}

/** A whole number from 1, as of what work is to be done on. */
export function countOption(text: string): number {
  const value = wholeOption(text);
  if (value >= 1) return value;
  throw new InvalidArgumentError('It takes a whole number of at least 1.');
}

/** A number from 0, as the weight of a penalty. */
export function weightOption(text: string): number {
  const value = numberOption(text);
  if (value >= 0) return value;
  throw new InvalidArgumentError('It takes a number of at least 0.');
}

/** A whole number with its sign, as a place counted from the end. */
export function wholeNumberOption(text: string): number {
  const value = numberOption(text);
  if (Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('It takes a whole number.');
}

/** A TCP port; 0 is any that is free. */
export function portOption(text: string): number {
  const value = wholeOption(text);
  if (value <= 65_535) return value;
  throw new InvalidArgumentError('It takes a port from 0 to 65535.');
}

/** `0.2,0.4` → [0.2, 0.4]; `off` → []. */
export function numberListOption(text: string): number[] {
  return text === 'off' ? [] : text.split(',').map(numberOption);
}

/** Names between commas. */
export function namesOption(text: string): string[] {
  return text.split(',').map((name) => name.trim());
}

/** `0,4-6` → 0, 4, 5, 6. */
export function placesOption(text: string): ReadonlySet<number> {
  const places = text.split(',').flatMap((part) => {
    const [, first, last = first] = /^(\d{1,7})(?:-(\d{1,7}))?$/.exec(part.trim()) ?? [];
    if (first === undefined || Number(last) < Number(first))
      throw new InvalidArgumentError('It takes places counted from 0, as in 0,4-6.');
    return Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => Number(first) + i);
  });
  return new Set(places);
}

/** A tokenizer's file; of a folder, the one in it. */
export function tokenizerOption(path: string): string {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ? join(path, 'tokenizer.json') : path;
}

/** An option that may be repeated; each use adds one value. */
export function repeatable(value: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

/** The same of whole numbers from 0, as ids. */
export function repeatableWhole(text: string, previous: number[] | undefined): number[] {
  return [...(previous ?? []), wholeOption(text)];
}

/** The number of a latent of a dictionary. @throws {MonosemeError} ERR_OPTION */
export function latentNumber(text: string, dSae: number): number {
  const latent = Number(text);
  if (/^\d+$/.test(text) && latent < dSae) return latent;
  throw new MonosemeError(
    'ERR_OPTION',
    `There is no latent ${text}.`,
    `The dictionary has ${dSae}, counted from 0.`,
  );
}
