/** Something that keeps the page from showing what was asked for, in words for a reader. */
export class IndexError extends Error {
  override readonly name = 'IndexError';
  readonly title: string;
  readonly advice: string;
  /** Whether the same may work at another time: a server that is away comes back. */
  readonly canPass: boolean;

  constructor(title: string, detail: string, advice: string, { canPass = false } = {}) {
    super(detail);
    this.title = title;
    this.advice = advice;
    this.canPass = canPass;
  }
}

/** Any error as one that can be shown. */
export function toIndexError(error: unknown): IndexError {
  if (error instanceof IndexError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new IndexError('This part of the index cannot be read', reason, 'Build or copy the index again.');
}
