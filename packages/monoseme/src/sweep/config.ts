import { architectureNamed } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import { camelCase, readJson, snakeCase } from '../formats/index.ts';
import { nearestNames } from '../nearest-names.ts';
import {
  checkOptions,
  DEFAULT_OPTIONS,
  OPTION_NAMES,
  resolveOptions,
  type TrainOptions,
  withSpelling,
} from '../training/index.ts';

/** One dictionary of a sweep. */
export interface SweepRun {
  /** Its folder: model, hook, architecture, size, what varies, seed. */
  readonly name: string;
  readonly model: string;
  readonly hook: string;
  /** What its entry of the grid says beside the architecture, by the names of the file. */
  readonly varied: Readonly<Record<string, unknown>>;
  readonly options: TrainOptions;
}

export interface Sweep {
  readonly runs: readonly SweepRun[];
  readonly text: readonly string[];
  readonly tokens: number;
  /** Held-out tokens on which each dictionary is measured. */
  readonly evaluationTokens: number;
}

const MAX_BYTES = 1 << 20;
/** A grid is written in a line, and a slip of the pen should not start a year of work. */
const MAX_RUNS = 10_000;
const KEYS = [
  'description',
  'models',
  'hooks',
  'architectures',
  'd_sae',
  'seeds',
  'options',
  'text',
  'tokens',
  'evaluation_tokens',
];
/** Options of all runs alike, because they read the same batches; and those that are axes of their own. */
const SHARED = ['batch_rows', 'buffer_rows'];
const AXES = ['architecture', 'd_sae', 'seed', 'tokens'];
const OPTION_KEYS = [...OPTION_NAMES].map(snakeCase);
/** Settings that are lists themselves: a list of them is one value. */
const LISTS = ['prefixes', 'resample_at', 'split_at'];

/**
 * Read the grid of a sweep and everything that each of its runs will be told.
 *
 * @throws {MonosemeError} ERR_FORMAT, ERR_OPTION: an unknown key (naming the nearest), a value of the wrong kind, settings
 * of any run that contradict each other (naming both)
 */
export async function readSweep(path: string): Promise<Sweep> {
  return parseSweep(await readJson(path, MAX_BYTES), path);
}

export function parseSweep(json: unknown, path: string): Sweep {
  const record = recordAt(json, path);
  expectKeys(record, KEYS, path);
  const tokens = wholeAt(record['tokens'] ?? 1_000_000, `${path}: tokens`);
  const common = recordAt(record['options'] ?? {}, `${path}: options`);
  const runs: SweepRun[] = [];
  for (const model of stringsAt(record['models'], `${path}: models`))
    for (const hook of stringsAt(record['hooks'], `${path}: hooks`))
      for (const [at, entry] of listAt(record['architectures'], `${path}: architectures`).entries())
        for (const varied of grid(recordAt(entry, `${path}: architectures[${at}]`)))
          for (const dSae of listAt(record['d_sae'], `${path}: d_sae`))
            for (const seed of listAt(record['seeds'] ?? [0], `${path}: seeds`)) {
              const axes = { d_sae: dSae, seed, tokens };
              runs.push(runOf({ model, hook, common, varied, axes }, `${path}: architectures[${at}]`));
              if (runs.length > MAX_RUNS)
                throw new MonosemeError(
                  'ERR_LIMIT',
                  `${path} asks for more than ${MAX_RUNS} dictionaries.`,
                  'Give shorter lists.',
                );
            }
  expectDifferent(runs, path);
  return {
    runs,
    text: stringsAt(record['text'] ?? ['default'], `${path}: text`),
    tokens,
    evaluationTokens: wholeAt(record['evaluation_tokens'] ?? 65_536, `${path}: evaluation_tokens`),
  };
}

interface Cell {
  readonly model: string;
  readonly hook: string;
  readonly common: Record<string, unknown>;
  readonly varied: Record<string, unknown>;
  readonly axes: Record<string, unknown>;
}

function runOf({ model, hook, common, varied, axes }: Cell, where: string): SweepRun {
  for (const key of Object.keys(common))
    refuse(AXES.includes(key), `${where}: ${key} is among the options`, key);
  for (const key of Object.keys(varied))
    refuse(
      SHARED.includes(key) || AXES.slice(1).includes(key),
      `${where}: ${key} is given for one architecture`,
      key,
    );
  const given = optionsOf({ ...common, ...varied, ...axes }, where);
  const options = withSpelling(snakeCase, () => checkOptions(resolveOptions(given)), `${where}: `);
  expectOneHookPoint(options, where);
  const { architecture, ...settings } = varied;
  const parts = [
    nameOf(model),
    nameOf(hook),
    String(architecture ?? 'standard'),
    ...Object.entries(settings).map(([key, value]) => `${key}-${[value].flat().join('-')}`),
    String(options.dSae),
    `seed-${options.seed}`,
  ];
  return { name: parts.join('_').replace(/[^\w.+-]/g, '-'), model, hook, varied: settings, options };
}

function expectOneHookPoint({ architecture }: TrainOptions, where: string): void {
  if ((architectureNamed(architecture).rows ?? 'activations') === 'activations') return;
  throw new MonosemeError(
    'ERR_OPTION',
    `${where}: architecture is ${architecture}, which reads several hook points; every dictionary of a sweep reads one.`,
    'Leave it out, or train it with monoseme train.',
  );
}

function refuse(isWrong: boolean, problem: string, key: string): void {
  if (!isWrong) return;
  const advice = SHARED.includes(key)
    ? 'Put it under options: all dictionaries read the same batches.'
    : 'It has a key of its own beside options.';
  throw new MonosemeError('ERR_OPTION', `${problem}.`, advice);
}

/** Every combination of the values that are given as lists. */
function grid(entry: Record<string, unknown>): Record<string, unknown>[] {
  let cells: Record<string, unknown>[] = [{}];
  for (const [key, value] of Object.entries(entry)) {
    const isAxis = Array.isArray(value) && (!LISTS.includes(key) || Array.isArray(value[0]));
    const values = isAxis ? (value as unknown[]) : [value];
    cells = cells.flatMap((cell) => values.map((one) => ({ ...cell, [key]: one })));
  }
  return cells;
}

/** Options by the names of the code, from those of the file; the kinds of the values are those of the defaults. */
function optionsOf(given: Record<string, unknown>, where: string): Partial<TrainOptions> {
  const options: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(given)) {
    const name = camelCase(key);
    if (!OPTION_KEYS.includes(key)) throw unknownKey(key, OPTION_KEYS, where);
    const expected = typeof (DEFAULT_OPTIONS[name as keyof TrainOptions] ?? 0);
    if (LISTS.includes(key)) {
      const isList = Array.isArray(value) && value.every((one) => typeof one === 'number');
      if (!isList) throw wrong(`${where}: ${key}`, value, 'list of numbers');
    } else if (typeof value !== expected) throw wrong(`${where}: ${key}`, value, expected);
    options[name] = value;
  }
  return options as Partial<TrainOptions>;
}

function expectDifferent(runs: readonly SweepRun[], path: string): void {
  const seen = new Set<string>();
  for (const { name } of runs) {
    if (seen.has(name))
      throw new MonosemeError('ERR_OPTION', `${path} asks for ${name} twice.`, 'Remove one of them.');
    seen.add(name);
  }
}

function expectKeys(record: Record<string, unknown>, known: readonly string[], path: string): void {
  for (const key of Object.keys(record)) if (!known.includes(key)) throw unknownKey(key, known, path);
}

function unknownKey(key: string, known: readonly string[], where: string): MonosemeError {
  const advice = OPTION_KEYS.includes(key)
    ? 'It stands under options, or in an entry of architectures.'
    : `The nearest is ${nearestNames(key, known)[0]}.`;
  return new MonosemeError('ERR_OPTION', `${where}: there is no ${key}.`, advice);
}

function recordAt(value: unknown, where: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw wrong(where, value, 'object');
}

function listAt(value: unknown, where: string): readonly unknown[] {
  if (Array.isArray(value) && value.length > 0) return value;
  throw wrong(where, value, 'list with something in it');
}

function stringsAt(value: unknown, where: string): readonly string[] {
  const list = listAt(value, where);
  if (list.every((one) => typeof one === 'string' && one !== '')) return list as string[];
  throw wrong(where, value, 'list of texts');
}

function wholeAt(value: unknown, where: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1) return value;
  throw wrong(where, value, 'whole number of at least 1');
}

function wrong(where: string, value: unknown, takes: string): MonosemeError {
  return new MonosemeError('ERR_OPTION', `${where} is ${JSON.stringify(value)}.`, `It takes a ${takes}.`);
}

/** The last part of a path. */
function nameOf(path: string): string {
  return path.replace(/\/+$/, '').split('/').at(-1) as string;
}
