/** One call of the suffix: some contexts as they are, and edited versions of them. */
export interface SuffixBatch {
  /** Of each row: the context that it is a version of. */
  contexts: Uint32Array;
  /** Of each row: the edit that it holds; −1 for the context as it is. */
  edits: Int32Array;
  /** Of each row: the row that holds its context as it is (itself, where the row is one). */
  originals: Uint32Array;
}

/**
 * Pack edits into calls of the suffix. Every call holds each of its contexts once as it is, followed by edits of
 * it, so that what an edit does can be told within the call. Edits of one context stand together; a context with
 * more edits than fit comes again in the next call.
 *
 * @param contexts of each edit, the context that it is a version of
 * @param capacity rows of a call, at least 2
 */
export function suffixBatches(contexts: ArrayLike<number>, capacity: number): SuffixBatch[] {
  const order = Array.from(contexts, (_, edit) => edit).sort((a, b) => contexts[a] - contexts[b] || a - b);
  const batches: { contexts: number[]; edits: number[]; originals: number[] }[] = [];
  let original = -1;
  for (const edit of order) {
    const context = contexts[edit];
    let batch = batches.at(-1);
    const isNew = batch?.contexts.at(-1) !== context;
    if (!batch || batch.edits.length + (isNew ? 2 : 1) > capacity) {
      batches.push((batch = { contexts: [], edits: [], originals: [] }));
      original = -1;
    }
    if (isNew || original < 0) {
      original = batch.edits.length;
      batch.contexts.push(context);
      batch.edits.push(-1);
      batch.originals.push(original);
    }
    batch.contexts.push(context);
    batch.edits.push(edit);
    batch.originals.push(original);
  }
  return batches.map((batch) => ({
    contexts: Uint32Array.from(batch.contexts),
    edits: Int32Array.from(batch.edits),
    originals: Uint32Array.from(batch.originals),
  }));
}
