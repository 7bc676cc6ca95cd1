import type { Collection } from '../collection/index.ts';
import { isInterruption, MonosemeError } from '../errors.ts';
import { StaticFolder, type StaticRequest } from './static-file.ts';

/** A collection as one folder of files: its manifest, its indexes by name, and the matches, which are made when asked for. */
export class CollectionFiles {
  readonly #collection: Collection;
  readonly #folders: ReadonlyMap<string, StaticFolder>;

  constructor(collection: Collection) {
    this.#collection = collection;
    this.#folders = new Map(
      collection.members.flatMap(({ name, index }) =>
        index === undefined ? [] : [[name, new StaticFolder(index, () => 'no-cache')]],
      ),
    );
  }

  /** The answer to a request for a file; undefined when there is none. */
  async respond([first, ...rest]: readonly string[], request: StaticRequest): Promise<Response | undefined> {
    if (first === 'manifest.json' && rest.length === 0) return Response.json(this.#collection.manifest);
    if (first === 'matches' && rest.length === 1) return this.#matches(rest[0]);
    return rest.length === 0 ? undefined : this.#folders.get(first)?.respond(rest, request);
  }

  async #matches(file: string): Promise<Response | undefined> {
    try {
      const bytes = await this.#collection.matches(file);
      return new Response(bytes, { headers: { 'Content-Type': 'application/octet-stream' } });
    } catch (error) {
      if (isInterruption(error) || !(error instanceof MonosemeError)) throw error;
      if (error.code === 'ERR_OPTION') return undefined;
      return new Response(`${error.message}\n`, { status: 409 });
    }
  }
}
