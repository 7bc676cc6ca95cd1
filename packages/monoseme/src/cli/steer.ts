import { type LatentEdit, reconstruct, steer, type Steered } from '../interventions/index.ts';
import type { KernelBackend } from '../kernels/index.ts';
import { type Dictionary, loadDictionary } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import { snakeCaseKeys } from '../formats/index.ts';
import { HookedModel } from '../model/index.ts';
import type { Tokenizer } from '../corpus/index.ts';
import { addBackendFlags, type BackendFlags, openBackend } from './backend-option.ts';
import { withStage } from './context.ts';
import {
  type ActivationEditFlags,
  activationVersions,
  addActivationEditFlags,
  type Version,
} from './activation-edits.ts';
import {
  addDictionaryFlags,
  DICTIONARY_HELP,
  type DictionaryFlags,
  modelOfDictionary,
} from './dictionary-option.ts';
import type { DeclareCommand } from './main.ts';
import { openTokenizer } from './model-option.ts';
import {
  latentNumber,
  numberListOption,
  numberOption,
  placesOption,
  repeatable,
  wholeOption,
  tokenizerOption,
} from './options.ts';
import { table } from './table.ts';

interface Flags extends BackendFlags, DictionaryFlags, ActivationEditFlags {
  readonly prompt: string;
  readonly latent?: string[];
  readonly clamp?: number[];
  readonly scale?: number[];
  readonly add?: number[];
  readonly ablate?: boolean;
  readonly reconstruct?: boolean;
  readonly error: boolean;
  readonly positions?: ReadonlySet<number>;
  readonly onlyGenerated?: boolean;
  readonly tokens: number;
  readonly temperature: number;
  readonly seed: number;
  readonly tokenizer?: string;
}

/** `monoseme steer`: continuations of a prompt as the model is, and with latents edited. */
export const steerCommand: DeclareCommand = (program, run) => {
  const command = program
    .command('steer')
    .description(
      'Continue a prompt with latents of a dictionary or activations edited, beside the model as it is.',
    )
    .argument(
      '[dictionary]',
      `${DICTIONARY_HELP}; not needed with --model and --hook for edits of activations`,
    )
    .requiredOption('--prompt <text>', 'what the model is to continue')
    .option('--latent <n>', 'a latent to edit; may be repeated', repeatable)
    .option(
      '--clamp <values>',
      'set it to a value everywhere; several values are several strengths',
      numberListOption,
    )
    .option('--scale <values>', 'multiply it by a value where it is active', numberListOption)
    .option('--add <values>', 'add a value times its direction everywhere', numberListOption)
    .option('--ablate', 'set it to 0')
    .option('--reconstruct', 'put what the dictionary reconstructs in place of the activations')
    .option(
      '--positions <places>',
      'edit these places of the text alone, counted from 0, as in 0,4-6',
      placesOption,
    )
    .option('--only-generated', 'leave the prompt as it is, but for its last token')
    .option('--no-error', 'drop what the dictionary does not reconstruct')
    .option('--tokens <n>', 'tokens to generate', wholeOption, 40)
    .option('--temperature <t>', '0 takes the likeliest token each time', numberOption, 0)
    .option('--seed <n>', 'of sampling', wholeOption, 0)
    .option(
      '--tokenizer <path>',
      'a tokenizer.json, or a folder with one (default: the one beside the model)',
      tokenizerOption,
    )
    .addHelpText(
      'after',
      '\nExample:\n  monoseme steer out/demo/dictionary --latent 2423 --clamp 2,5 --prompt "We are"',
    )
    .action(
      run(async (context, flags: Flags, folder: string | undefined) => {
        const backend = await openBackend(flags, context);
        const dictionary = folder === undefined ? undefined : await loadDictionary(folder);
        const edits = [
          ...latentVersions(flags, dictionary),
          ...(flags.reconstruct ? [reconstruction(dictionary, backend)] : []),
          ...(await activationVersions(flags)),
        ];
        if (edits.length === 0)
          throw new MonosemeError(
            'ERR_USAGE',
            'Nothing says what to edit.',
            'Give --latent with --clamp, --scale, --add or --ablate, or --reconstruct, --zero, --mean, --resample, --direction.',
          );
        const versions = edits.map((version) => atPlaces(version, flags.positions));
        const { model, hook } = await modelOfDictionary(context, dictionary, flags);
        const tokenizer = await openTokenizer(model, flags.tokenizer);
        const prompt = promptTokens(tokenizer, flags.prompt);
        const hooked = new HookedModel(model, { threads: flags.threads });
        try {
          const steered = await withStage(context, 'steer', 'tokens', async (stage) => {
            const found = await steer({
              ...{ hooked, dictionary, backend, hookName: hook, prompt, nTokens: flags.tokens },
              versions: versions.map(({ edit }) => edit),
              ...{ temperature: flags.temperature, seed: flags.seed },
              ...{ keepError: flags.error, onlyGenerated: flags.onlyGenerated, signal: context.signal },
              onProgress: (done, total) => stage.update(done, total),
            });
            return [found, `the original and ${versions.length} edited, ${flags.tokens} tokens each`];
          });
          const shown = describe(steered, versions, tokenizer);
          context.print(steerTable(shown));
          context.result({
            prompt: flags.prompt,
            continuations: shown.map((one) => snakeCaseKeys({ ...one })),
          });
        } finally {
          await hooked.close();
        }
      }),
    );
  addActivationEditFlags(command);
  addDictionaryFlags(command);
  addBackendFlags(command);
};

/** One version for each strength of each kind of edit. */
function latentVersions(flags: Flags, dictionary: Dictionary | undefined): Version[] {
  const kinds = (['clamp', 'scale', 'add'] as const).flatMap((op) =>
    (flags[op] ?? []).map((value) => ({ op, value })),
  );
  const wanted = [...kinds, ...(flags.ablate ? [{ op: 'ablate' as const, value: undefined }] : [])];
  const { latent: texts = [] } = flags;
  if (texts.length > 0 !== wanted.length > 0)
    throw new MonosemeError(
      'ERR_USAGE',
      texts.length > 0 ? 'Nothing says how to edit the latent.' : 'Nothing says which latent to edit.',
      'Give --latent with --clamp, --scale, --add or --ablate.',
    );
  if (wanted.length === 0) return [];
  const { dSae } = withLatents(dictionary).config;
  const latents = texts.map((text) => latentNumber(text, dSae));
  return wanted.map(({ op, value }) => ({
    name: value === undefined ? op : `${op} ${value}`,
    edit: latents.map((latent): LatentEdit => ({ latent, op, value })),
  }));
}

function reconstruction(dictionary: Dictionary | undefined, backend: KernelBackend): Version {
  const whole = withLatents(dictionary);
  return { name: 'reconstruct', edit: (where) => reconstruct(whole, backend, where) };
}

function withLatents(dictionary: Dictionary | undefined): Dictionary {
  if (dictionary) return dictionary;
  throw new MonosemeError('ERR_USAGE', 'Latents are those of a dictionary.', 'Give its folder.');
}

/** A version that keeps to some places of the text. */
function atPlaces({ name, edit }: Version, places: ReadonlySet<number> | undefined): Version {
  if (!places) return { name, edit };
  if (typeof edit !== 'function')
    return { name, edit: edit.map((latent) => ({ ...latent, where: (position) => places.has(position) })) };
  return {
    name,
    edit: (where) => edit((position, context) => places.has(position) && where(position, context)),
  };
}

/** The prompt as the model saw texts begin: behind the tokenizer's separator, where it has one. */
function promptTokens(tokenizer: Tokenizer, prompt: string): Uint32Array {
  const { separatorId } = tokenizer;
  const ids = tokenizer.encode(prompt);
  const tokens = separatorId === undefined ? ids : Uint32Array.of(separatorId, ...ids);
  if (tokens.length > 0) return tokens;
  throw new MonosemeError('ERR_EMPTY_TEXT', 'The prompt is empty.', 'Give some text.');
}

interface Shown {
  readonly version: string;
  readonly text: string;
  readonly tokens: string[];
  /** Nats, of each token. */
  readonly logProbs: number[];
  readonly originalLogProbs: number[];
  readonly logProbsOfOriginal?: number[];
}

function describe(
  { original, steered }: Steered,
  versions: readonly Version[],
  tokenizer: Tokenizer,
): Shown[] {
  return [original, ...steered].map((continuation, i) => ({
    version: i === 0 ? 'original' : versions[i - 1].name,
    text: tokenizer.decode(continuation.tokens),
    tokens: Array.from(continuation.tokens, (id) => tokenizer.tokenText(id)),
    logProbs: [...continuation.logProbs],
    originalLogProbs: [...continuation.originalLogProbs],
    ...(i === 0 ? {} : { logProbsOfOriginal: [...steered[i - 1].logProbsOfOriginal] }),
  }));
}

/** Mean log-probabilities a token: under the model that wrote the text, and how much more than as it is. */
function steerTable(shown: readonly Shown[]): string {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const rows = shown.map(({ version, text, logProbs, originalLogProbs, logProbsOfOriginal }) => [
    version,
    mean(logProbs).toFixed(2),
    (mean(logProbs) - mean(originalLogProbs)).toFixed(2),
    logProbsOfOriginal ? (mean(logProbsOfOriginal) - mean(shown[0].logProbs)).toFixed(2) : '',
    JSON.stringify(text).slice(1, -1),
  ]);
  const columns = ['version', 'log-prob', 'more than as it is', "original's, change", 'continuation'];
  return table(columns, rows);
}
