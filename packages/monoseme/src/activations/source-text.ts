import type { DocumentSpan, TokenSet } from '../corpus/index.ts';
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
  const { contextSize, axes } = source;
  const tokens = new Uint32Array(totalRows(source));
  const kind = axes ? 'sample' : 'document';
  const documents: DocumentSpan[] = [];
  let [at, last] = [0, -1];
  let span: DocumentSpan | undefined;
  for (let chunk = 0; chunk < source.nChunks; chunk++) {
    throwIfAborted(signal);
    const origins = (await source.readOrigins?.(chunk)) ?? {};
    const { positions, documents: numbers } = origins;
    const tokenIds = axes ? positions : origins.tokenIds;
    if (!tokenIds) throw unusable(`${source.description} does not say which tokens it is of.`);
    for (let row = 0; row < tokenIds.length; row++, at++) {
      if (positions && positions[row] !== at % contextSize)
        throw unusable(`${source.description} holds parts of contexts of ${contextSize} tokens.`);
      tokens[at] = tokenIds[row];
      const number = numbers?.[row] ?? 0;
      if (number !== last)
        documents.push((span = { id: `${kind}-${number}`, source: 'store', start: at, length: 0 }));
      span!.length++;
      last = number;
    }
  }
  if (at % contextSize !== 0)
    throw unusable(`${source.description} holds parts of contexts of ${contextSize} tokens.`);
  return { tokens, contextSize, nContexts: at / contextSize, documents };
}

function unusable(what: string): MonosemeError {
  return new MonosemeError(
    'ERR_OPTION',
    what,
    'Harvest whole contexts (without --tokens-per-context, --drop-token and --max-norm-ratio).',
  );
}
