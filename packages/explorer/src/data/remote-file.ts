import type { AsyncBuffer } from 'hyparquet';
import { count } from './format.ts';
import { IndexError } from './index-error.ts';

/**
 * A file on the host, read by ranges. A host that does not know ranges sends the whole file: it is then kept and
 * never asked for again.
 */
export class RemoteFile implements AsyncBuffer {
  readonly byteLength: number;
  readonly #url: URL;
  /** Once it is asked for; what failed is asked for again. */
  #whole: Promise<ArrayBuffer> | undefined;

  constructor(url: URL, byteLength: number) {
    this.#url = url;
    this.byteLength = byteLength;
  }

  async slice(start: number, end = this.byteLength): Promise<ArrayBuffer> {
    if (this.#whole) return (await this.#whole).slice(start, end);
    if (start === 0 && end >= this.byteLength) return this.whole();
    const response = await request(this.#url, { headers: { Range: `bytes=${start}-${end - 1}` } });
    if (response.status === 200) {
      return (await this.#keep(response.arrayBuffer())).slice(start, end);
    }
    return this.#checked(await response.arrayBuffer(), end - start);
  }

  whole(): Promise<ArrayBuffer> {
    return this.#whole ?? this.#keep(request(this.#url).then((response) => response.arrayBuffer()));
  }

  #keep(bytes: Promise<ArrayBuffer>): Promise<ArrayBuffer> {
    const whole = bytes.then((all) => this.#checked(all, this.byteLength));
    whole.catch(() => (this.#whole = undefined));
    this.#whole = whole;
    return whole;
  }

  #checked(bytes: ArrayBuffer, expected: number): ArrayBuffer {
    if (bytes.byteLength === expected) return bytes;
    throw new IndexError(
      bytes.byteLength < expected ? 'A file of the index is cut short' : 'A file of the index is too long',
      `${nameOf(this.#url)} gave ${count(bytes.byteLength)} bytes where ${count(expected)} were expected.`,
      'Copy or build the index again.',
    );
  }
}

/** A file's name, with the folder that tells it from others of this name. */
function nameOf(url: URL): string {
  const [folder, name] = url.pathname.split('/').slice(-2);
  return name.startsWith('part-') ? `${folder}/${name}` : name;
}

/** Fetch, with errors that a reader understands. */
export async function request(url: URL, options: RequestInit = {}): Promise<Response> {
  const name = nameOf(url);
  let response: Response;
  try {
    response = await fetch(url, options);
  } catch {
    throw new IndexError(
      'The host does not answer',
      `${name} could not be fetched.`,
      location.protocol === 'file:'
        ? 'Browsers do not let a page opened from disk read files: serve the folder, for example with `monoseme explore`.'
        : 'Check that the server still runs, then try again. What this tab has read before goes on working.',
      { canPass: location.protocol !== 'file:' },
    );
  }
  if (response.ok) return response;
  if (response.status === 409)
    throw new IndexError(
      'This cannot be compared',
      await response.text(),
      'Everything else works without it.',
    );
  if (response.status === 416)
    throw new IndexError(
      'A file of the index is cut short',
      `${name} ends before what is read of it.`,
      'Copy or build the index again.',
    );
  throw new IndexError(
    response.status === 404 ? 'A file of the index is missing' : 'The host refused a file of the index',
    `${name}: ${response.status} ${response.statusText}`.trim(),
    response.status === 404
      ? 'Build the index with `monoseme index`, or copy the whole folder beside the page.'
      : 'Check the server that the page comes from.',
  );
}
