/**
 * The same items, each asked for while the one before is worked on: a batch is put together by this thread while the
 * kernels compute on theirs. An error comes where its item would.
 */
export async function* oneAhead<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]();
  let next = iterator.next();
  try {
    for (;;) {
      const item = await next;
      if (item.done) return;
      // Not at once: first the work on this item must have begun.
      next = new Promise<void>(setImmediate).then(() => iterator.next());
      next.catch(() => {}); // looked at in the next round, or given up
      yield item.value;
    }
  } finally {
    await next.catch(() => {});
    await iterator.return?.();
  }
}
