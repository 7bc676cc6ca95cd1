import type { RemoteFile } from './remote-file.ts';

/** A latent of the other dictionary, and how near it is: the cosine of the directions, or the correlation of the activations. */
export interface Match {
  readonly latent: number;
  readonly nearness: number;
}

/** int32 latent, float32 nearness. */
const MATCH_BYTES = 8;

/** The nearest latents of another dictionary for each latent of one: a flat file of rows of the same length. */
export class Matches {
  readonly #file: RemoteFile;
  readonly #perLatent: number;
  #whole: Promise<Match[][]> | undefined;

  constructor(file: RemoteFile, perLatent: number) {
    this.#file = file;
    this.#perLatent = perLatent;
  }

  static bytes(nLatents: number, perLatent: number): number {
    return nLatents * perLatent * MATCH_BYTES;
  }

  /** Those of one latent, the nearest first. */
  async of(latent: number): Promise<Match[]> {
    if (this.#whole) return (await this.#whole)[latent];
    const row = this.#perLatent * MATCH_BYTES;
    return this.#parse(await this.#file.slice(latent * row, (latent + 1) * row))[0];
  }

  /** Those of all latents, by latent. */
  all(): Promise<Match[][]> {
    if (!this.#whole) {
      this.#whole = this.#file.whole().then((bytes) => this.#parse(bytes));
      this.#whole.catch(() => (this.#whole = undefined));
    }
    return this.#whole;
  }

  #parse(bytes: ArrayBuffer): Match[][] {
    const view = new DataView(bytes);
    const rows = bytes.byteLength / MATCH_BYTES / this.#perLatent;
    return Array.from({ length: rows }, (_, row) =>
      Array.from({ length: this.#perLatent }, (_, i): Match => {
        const at = (row * this.#perLatent + i) * MATCH_BYTES;
        return { latent: view.getInt32(at, true), nearness: view.getFloat32(at + 4, true) };
      }).filter(({ latent }) => latent >= 0),
    );
  }
}
