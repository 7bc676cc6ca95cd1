/**
 * Results of work on a list, in order, where the next item is begun before the current one is handed over: so what makes
 * the items and what uses them go on side by side. At most two results are in memory.
 *
 * @throws what the work throws, when its item is due
 */
export async function* readAhead<T, R>(items: Iterable<T>, work: (item: T) => Promise<R>): AsyncGenerator<R> {
  let current: Promise<R> | undefined;
  try {
    for (const item of items) {
      const next = work(item);
      next.catch(() => {}); // looked at when it is due, or given up
      if (current) yield await current;
      current = next;
    }
    if (current) yield await current;
  } finally {
    await current?.catch(() => {});
  }
}
