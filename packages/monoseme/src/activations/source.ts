import type { RowAxis } from '../model/index.ts';
import type { LeftOut } from './row-selection.ts';

/**
 * Activations in pieces. Rows are in the order of the contexts; a chunk is what is read at once.
 */
export interface ActivationSource {
  /** Numbers of a row. */
  readonly dIn: number;
  /** Where a row holds the activations of several hook points side by side: how many numbers each has. */
  readonly widths?: readonly number[];
  /** What the place of a row in its sample stands for, where a sample is no row of tokens. */
  readonly axes?: readonly RowAxis[];
  readonly contextSize: number;
  readonly nChunks: number;
  /** One line for people: what it is and how much. */
  readonly description: string;
  /** Changes with everything that decides the activations. */
  readonly hash: string;
  /** SHA-256 of the model that the activations are of, where it is one. */
  readonly modelHash?: string;
  /** Where a row holds the activations of several hook points: the same of each. */
  readonly modelHashes?: readonly (string | undefined)[];
  /** Rows of a chunk; at most, where rows are dropped for what they hold ({@link ActivationSource.dropped}). */
  chunkRows(chunk: number): number;
  /** f32 [rows, dIn], an array of the caller's own. */
  readChunk(chunk: number, signal?: AbortSignal): Promise<Float32Array>;
  /** Take a chunk's array back, which is used no more: its memory is for later chunks. */
  recycle?(rows: Float32Array): void;
  /** A chunk with the origins of its rows, where they are known. */
  readRows?(chunk: number, signal?: AbortSignal): Promise<SourceRows>;
  /** The origins of a chunk's rows alone. */
  readOrigins?(chunk: number, signal?: AbortSignal): Promise<RowOrigins>;
  /** What was left out so far, where something is. */
  readonly dropped?: DroppedRows;
  /** By which rule, where it is one of what rows hold. */
  readonly leftOut?: LeftOut;
}

/** Where the rows of a chunk are from, one entry a row; absent is what is not known. */
export interface RowOrigins {
  readonly tokenIds?: Uint32Array;
  /** Place in the context, from 0. */
  readonly positions?: Uint32Array;
  /** Number of the document in its text, from 0. */
  readonly documents?: Uint32Array;
}

export interface SourceRows {
  readonly activations: Float32Array;
  readonly origins: RowOrigins;
}

/** Tokens that were read and give no row. */
export interface DroppedRows {
  /** Tokens read so far. */
  readonly read: number;
  /** Of them dropped by their ids or roles. */
  readonly tokens: number;
  /** Not drawn from their contexts. */
  readonly notDrawn: number;
  /** Dropped by the norms of their rows. */
  readonly norms: number;
}

/** Rows of a source, all chunks together. */
export function totalRows(source: ActivationSource): number {
  let rows = 0;
  for (let chunk = 0; chunk < source.nChunks; chunk++) rows += source.chunkRows(chunk);
  return rows;
}
