import { HeldText, type TextFile, TextFileWriter, type TokenSet, type TokenSink } from '../corpus/index.ts';
import { MonosemeError, throwIfAborted } from '../errors.ts';
import { type ActivationSource, totalRows } from './source.ts';

/**
 * The text that activations are of, from what their source knows of the origins of its rows. Documents are numbered, in the
 * order of the text: what they were called is not known any more. Of arrays a row's token is its place in the sample
 * ({@link coordinatesOf}), and every sample is a document and a context.
 *
 * @throws {MonosemeError} ERR_OPTION for a source that does not say which tokens its rows are of, or that holds parts of
 * contexts; ERR_INTERRUPTED, and what reading the source throws
 */
export async function sourceText(source: ActivationSource, signal?: AbortSignal): Promise<TokenSet> {
  const held = new HeldText(totalRows(source));
  return held.take(await readText(source, held, signal), source.contextSize);
}

/**
 * The same into files without a name in a folder: memory does not grow with the text.
 *
 * @throws {MonosemeError} as {@link sourceText}, ERR_DISK_FULL, ERR_FILE
 */
export async function sourceTextInFile(
  source: ActivationSource,
  folder: string,
  signal?: AbortSignal,
): Promise<TextFile> {
  const writer = new TextFileWriter(folder);
  try {
    return writer.finish(await readText(source, writer, signal), source.contextSize);
  } catch (error) {
    writer.close();
    throw error;
  }
}

/** @returns how many tokens the text has */
async function readText(source: ActivationSource, sink: TokenSink, signal?: AbortSignal): Promise<number> {
  const { contextSize, axes } = source;
  const kind = axes ? 'sample' : 'document';
  let [at, start, last] = [0, 0, -1];
  const endDocument = () => {
    if (at > start) sink.addDocument({ id: `${kind}-${last}`, source: 'store', start, length: at - start });
    start = at;
  };
  for (let chunk = 0; chunk < source.nChunks; chunk++) {
    throwIfAborted(signal);
    const origins = (await source.readOrigins?.(chunk)) ?? {};
    const { positions, documents: numbers } = origins;
    const tokenIds = axes ? positions : origins.tokenIds;
    if (!tokenIds) throw unusable(`${source.description} does not say which tokens it is of.`);
    for (let row = 0; row < tokenIds.length; row++, at++) {
      if (positions && positions[row] !== at % contextSize)
        throw unusable(`${source.description} holds parts of contexts of ${contextSize} tokens.`);
      const number = numbers?.[row] ?? 0;
      if (number !== last) endDocument();
      last = number;
    }
    sink.add(tokenIds);
  }
  endDocument();
  if (at % contextSize !== 0)
    throw unusable(`${source.description} holds parts of contexts of ${contextSize} tokens.`);
  return at;
}

function unusable(what: string): MonosemeError {
  return new MonosemeError(
    'ERR_OPTION',
    what,
    'Harvest whole contexts (without --tokens-per-context, --drop-token and --max-norm-ratio).',
  );
}
