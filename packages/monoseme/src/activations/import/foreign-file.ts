import { MonosemeError } from '../../errors.ts';
import type { SourceRows } from '../source.ts';

/** Activations that another program wrote, before they are read. */
export interface ForeignFile {
  readonly path: string;
  /** Element type as safetensors names it, where the file has one of them. */
  readonly dtype: string;
  readonly nRows: number;
  readonly dIn: number;
  /** Tokens of a context, where the axes tell. */
  readonly contextSize?: number;
  /** The name under which the file has them. */
  readonly name: string;
  /** Its tensors by their role, where the file can be a shard as it is. */
  readonly tensors?: Readonly<Record<string, string>>;
  /** All rows in order, a few megabytes at a time. */
  pieces(): AsyncIterable<SourceRows>;
  close(): Promise<void>;
}

/** Names of arrays or columns; usual ones are looked for where none is given. */
export interface ForeignNames {
  readonly activations?: string;
  readonly tokenIds?: string;
  readonly positions?: string;
}

/** What each is called by programs that store activations. */
const USUAL: Readonly<Record<keyof ForeignNames, readonly string[]>> = {
  activations: ['activations', 'activation', 'acts', 'hidden_states'],
  tokenIds: ['token_ids', 'token_id', 'tokens', 'input_ids'],
  positions: ['positions', 'position', 'position_ids'],
};

/** Bytes of a piece of rows as f32, about. */
const PIECE_BYTES = 2 ** 22;

export const rowsPerPiece = (dIn: number): number => Math.max(1, Math.floor(PIECE_BYTES / (4 * dIn)));

/**
 * The array or column of a role.
 *
 * @param candidates of activations, those that may be them: the only one is taken where no usual name is there
 * @throws {MonosemeError} ERR_FORMAT where a given name is not there, or activations cannot be told
 */
export function findName(
  path: string,
  role: keyof ForeignNames,
  names: readonly string[],
  given: ForeignNames,
  candidates: readonly string[] = [],
): string | undefined {
  const wanted = given[role];
  if (wanted !== undefined && names.includes(wanted)) return wanted;
  const usual = USUAL[role].find((name) => names.includes(name));
  const found =
    wanted !== undefined ? undefined : (usual ?? (candidates.length === 1 ? candidates[0] : undefined));
  if (found !== undefined || (wanted === undefined && role !== 'activations')) return found;
  const has = `it has ${names.slice(0, 8).join(', ') || 'none'}`;
  throw new MonosemeError(
    'ERR_FORMAT',
    wanted === undefined
      ? `Which of ${path} are the activations is not clear: ${has}.`
      : `${path} has no "${wanted}": ${has}.`,
    'Name one of them (--activations, --token-ids, --positions).',
  );
}

/** @throws {MonosemeError} ERR_FORMAT */
export function malformedRows(path: string, what: string): MonosemeError {
  return new MonosemeError('ERR_FORMAT', `${path}: ${what}.`, 'Rows are vectors of one length.');
}
