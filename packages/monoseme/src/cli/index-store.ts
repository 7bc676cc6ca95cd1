import {
  type ActivationSource,
  ActivationStore,
  coordinatesOf,
  sourceTextInFile,
} from '../activations/index.ts';
import { type TextFile, type TokenText, Tokenizer } from '../corpus/index.ts';
import { MonosemeError } from '../errors.ts';
import { isHubPath } from '../hub/index.ts';
import type { TokenTexts } from '../features/index.ts';
import { ModelRunner, type OnnxModel } from '../model/index.ts';
import { type CommandContext, withStage } from './context.ts';
import { type InputFlags, openModel, openTokenizer } from './model-option.ts';
import type { TextFlags } from './text.ts';

/** What an index reads beside the dictionary. */
export interface IndexSubject {
  /** For logits and ablations; without one the index has neither. */
  readonly runner?: ModelRunner;
  readonly source: ActivationSource;
  readonly tokens: TokenText;
  readonly tokenizer: TokenTexts;
  readonly madeFrom: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

interface StoreFlags extends TextFlags, InputFlags {
  readonly store: string;
  readonly out: string;
  readonly model?: string;
  readonly hook?: string;
  readonly threads?: number;
}

/**
 * Activations on disk and the text that they are of; the model too where one is named.
 *
 * @throws {MonosemeError} ERR_MISMATCH (a model that the activations are not of), the
 * errors of stores, models and tokenizers
 */
export async function storedSubject(context: CommandContext, flags: StoreFlags): Promise<IndexSubject> {
  const store = await ActivationStore.open(flags.store);
  if (store.axes) return rowsSubject(context, store, flags.out);
  const tokens = await textOf(context, store, flags.out);
  const model = flags.model === undefined ? undefined : await openModel(context, flags.model, flags);
  if (model && store.modelHash !== undefined && model.sha256 !== store.modelHash)
    throw new MonosemeError(
      'ERR_MISMATCH',
      `The activations of ${flags.store} are not of ${model.path}.`,
      'Name the model that they were harvested from, or leave --model out.',
    );
  const tokenizer = await tokenTexts(context, store, model, flags.tokenizer);
  const hook = flags.hook ?? store.hookName;
  const suffix = model?.logits !== undefined;
  const runner = model && (await ModelRunner.start(model, { hook, threads: flags.threads, suffix }));
  const close = async () => {
    tokens.close();
    await runner?.close();
  };
  return { runner, source: store, tokens, tokenizer, madeFrom: modelHash(store), close };
}

/**
 * Activations of a model that reads arrays: the place of a row in its sample stands for a token.
 *
 * @param out folder of the index
 */
export async function rowsSubject(
  context: CommandContext,
  source: ActivationSource,
  out: string,
  closeSource: () => Promise<void> = async () => {},
): Promise<IndexSubject> {
  const tokens = await textOf(context, source, out);
  const close = async () => {
    tokens.close();
    await closeSource();
  };
  return { source, tokens, tokenizer: placeTexts(source), madeFrom: modelHash(source), close };
}

/** Into files without a name in the folder of the index. */
function textOf(context: CommandContext, source: ActivationSource, out: string): Promise<TextFile> {
  const [row, part] = source.axes ? ['rows', 'samples'] : ['tokens', 'contexts'];
  return withStage(context, row, row, async () => {
    const text = await sourceTextInFile(source, out, context.signal);
    return [text, `${text.tokens.length} ${row} in ${text.nContexts} ${part} of ${text.contextSize}`];
  });
}

const modelHash = ({ modelHash: model }: ActivationSource): Record<string, string> =>
  model === undefined ? {} : { model };

/** The tokenizer that is named, that of the model, or that of a model of the store's name; without one the ids. */
async function tokenTexts(
  context: CommandContext,
  { modelName }: ActivationStore,
  model: OnnxModel | undefined,
  path: string | undefined,
): Promise<TokenTexts> {
  if (path !== undefined) return Tokenizer.open(path);
  if (model) return openTokenizer(model, undefined);
  const named = isHubPath(modelName) ? undefined : await openModel(context, modelName).catch(() => undefined);
  if (named?.tokenizerPath !== undefined) return Tokenizer.open(named.tokenizerPath);
  context.progress.write(
    `${' '.repeat(11)}tokens are shown by their ids: name a tokenizer with --tokenizer\n`,
  );
  return TOKEN_IDS;
}

/** Ids as texts. */
const TOKEN_IDS = textsOf(0, String);

/** Places in a sample, as `⟨row 2, column 5⟩`. */
function placeTexts({ axes = [], contextSize }: ActivationSource): TokenTexts {
  return textsOf(contextSize, (position) =>
    Object.entries(coordinatesOf(position, axes))
      .map(([name, place]) => `${name} ${place}`)
      .join(', '),
  );
}

function textsOf(vocabSize: number, text: (id: number) => string): TokenTexts {
  const tokenText = (id: number) => `⟨${text(id)}⟩`;
  return { vocabSize, tokenText, tokenBytes: (id) => new TextEncoder().encode(tokenText(id)) };
}
