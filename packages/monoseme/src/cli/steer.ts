import { type LatentEdit, steer, type Steered } from '../interventions/index.ts';
import { type Dictionary, loadDictionary } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import { HookedModel } from '../model/index.ts';
import type { Tokenizer } from '../corpus/index.ts';
import { addBackendFlags, type BackendFlags, openBackend } from './backend-option.ts';
import { withStage } from './context.ts';
import { addDictionaryFlags, type DictionaryFlags, modelOfDictionary } from './dictionary-option.ts';
import type { DeclareCommand } from './main.ts';
import { openTokenizer } from './model-option.ts';
import { latentNumber, numberListOption, numberOption, repeatable, wholeOption } from './options.ts';
import { table } from './table.ts';

interface Flags extends BackendFlags, DictionaryFlags {
  readonly prompt: string;
  readonly latent: string[];
  readonly clamp?: number[];
  readonly scale?: number[];
  readonly add?: number[];
  readonly ablate?: boolean;
  readonly error: boolean;
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
    .description('Continue a prompt with latents of a dictionary edited, beside the model as it is.')
    .argument('<dictionary>', 'folder of the dictionary')
    .requiredOption('--prompt <text>', 'what the model is to continue')
    .requiredOption('--latent <n>', 'a latent to edit; may be repeated', repeatable)
    .option(
      '--clamp <values>',
      'set it to a value everywhere; several values are several strengths',
      numberListOption,
    )
    .option('--scale <values>', 'multiply it by a value where it is active', numberListOption)
    .option('--add <values>', 'add a value times its direction everywhere', numberListOption)
    .option('--ablate', 'set it to 0')
    .option('--only-generated', 'leave the prompt as it is, but for its last token')
    .option('--no-error', 'drop what the dictionary does not reconstruct')
    .option('--tokens <n>', 'tokens to generate', wholeOption, 40)
    .option('--temperature <t>', '0 takes the likeliest token each time', numberOption, 0)
    .option('--seed <n>', 'of sampling', wholeOption, 0)
    .option('--tokenizer <file>', 'a tokenizer.json (default: the one beside the model)')
    .addHelpText(
      'after',
      '\nExample:\n  monoseme steer out/demo/dictionary --latent 2423 --clamp 2,5 --prompt "We are"',
    )
    .action(
      run(async (context, flags: Flags, folder) => {
        const backend = await openBackend(flags, context);
        const dictionary = await loadDictionary(folder);
        const versions = versionsOf(flags, dictionary);
        const { model, hook } = await modelOfDictionary(context, dictionary, flags);
        const tokenizer = await openTokenizer(model, flags.tokenizer);
        const prompt = promptTokens(tokenizer, flags.prompt);
        const hooked = new HookedModel(model, { threads: flags.threads });
        try {
          const steered = await withStage(context, 'steer', 'tokens', async (stage) => {
            const found = await steer({
              ...{ hooked, dictionary, backend, hookName: hook, prompt, nTokens: flags.tokens },
              versions: versions.map(({ edits }) => edits),
              ...{ temperature: flags.temperature, seed: flags.seed },
              ...{ keepError: flags.error, onlyGenerated: flags.onlyGenerated, signal: context.signal },
              onProgress: (done, total) => stage.update(done, total),
            });
            return [found, `${versions.length} continuations of ${flags.tokens} tokens beside the original`];
          });
          const shown = describe(steered, versions, tokenizer);
          context.print(steerTable(shown));
          context.result({ prompt: flags.prompt, continuations: shown });
        } finally {
          await hooked.close();
        }
      }),
    );
  addDictionaryFlags(command);
  addBackendFlags(command);
};

interface Version {
  readonly name: string;
  readonly edits: LatentEdit[];
}

/** One version for each strength of each kind of edit. */
function versionsOf(flags: Flags, dictionary: Dictionary): Version[] {
  const latents = flags.latent.map((text) => latentNumber(text, dictionary.config.dSae));
  const version = (op: LatentEdit['op'], value?: number): Version => ({
    name: value === undefined ? op : `${op} ${value}`,
    edits: latents.map((latent) => ({ latent, op, value })),
  });
  const versions = (['clamp', 'scale', 'add'] as const).flatMap((op) =>
    (flags[op] ?? []).map((value) => version(op, value)),
  );
  if (flags.ablate) versions.push(version('ablate'));
  if (versions.length > 0) return versions;
  throw new MonosemeError(
    'ERR_USAGE',
    'Nothing says how to edit the latent.',
    'Give --clamp, --scale, --add or --ablate.',
  );
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
