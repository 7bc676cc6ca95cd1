/**
 * Activations in pieces. Rows are in the order of the contexts; a chunk is some whole contexts, and every
 * chunk but the last has the same number of rows.
 */
export interface ActivationSource {
  /** Numbers of a row. */
  readonly dIn: number;
  /** Where a row holds the activations of several hook points side by side: how many numbers each has. */
  readonly widths?: readonly number[];
  readonly contextSize: number;
  readonly nChunks: number;
  /** One line for people: what it is and how much. */
  readonly description: string;
  /** Changes with everything that decides the activations. */
  readonly hash: string;
  /** SHA-256 of the model that the activations are of, where it is one. */
  readonly modelHash?: string;
  chunkRows(chunk: number): number;
  /** f32 [chunkRows(chunk), dIn], an array of the caller's own. */
  readChunk(chunk: number, signal?: AbortSignal): Promise<Float32Array>;
  /** Token ids of a chunk's rows, where they are known. */
  readTokens?(chunk: number): Promise<Uint32Array>;
}

/** Rows of a source, all chunks together. */
export function totalRows(source: ActivationSource): number {
  let rows = 0;
  for (let chunk = 0; chunk < source.nChunks; chunk++) rows += source.chunkRows(chunk);
  return rows;
}
