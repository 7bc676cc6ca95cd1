import type { HookedModel, Hooks, TextCache } from '../model/index.ts';

/** Reads texts that grow: only what is new of them where the model has a cache for that, else whole each time. */
export class TextReader {
  readonly #hooked: HookedModel;
  readonly #hooks: Hooks | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #cache: TextCache | undefined;

  constructor(hooked: HookedModel, hooks: Hooks | undefined, signal: AbortSignal | undefined) {
    this.#hooked = hooked;
    this.#hooks = hooks;
    this.#signal = signal;
    this.#cache = hooked.openCache(hooks);
  }

  /**
   * Logits behind the last token of each text, [n, vocab].
   *
   * @param texts [n, size], which begin with those of the call before
   */
  async lastLogits(texts: Uint32Array, size: number): Promise<Float32Array<ArrayBuffer>> {
    const cache = this.#cache?.isWhole ? this.#cache : undefined;
    try {
      return await this.#run(texts, size, cache);
    } catch (error) {
      // What was found out on the way is no error of the texts.
      if (!cache || cache.isWhole) throw error;
      return this.#run(texts, size);
    }
  }

  #run(texts: Uint32Array, size: number, cache?: TextCache): Promise<Float32Array<ArrayBuffer>> {
    const n = texts.length / size;
    const contextSize = size - (cache?.length ?? 0);
    const tokens = new Uint32Array(n * contextSize);
    for (let i = 0; i < n; i++)
      tokens.set(texts.subarray((i + 1) * size - contextSize, (i + 1) * size), i * contextSize);
    const rows = Uint32Array.from({ length: n }, (_, i) => (i + 1) * contextSize - 1);
    return this.#hooked.run({
      ...{ tokens, contextSize, rows, cache },
      ...{ hooks: this.#hooks, signal: this.#signal },
    });
  }

  async close(): Promise<void> {
    if (this.#cache) await this.#hooked.closeCache(this.#cache);
  }
}
