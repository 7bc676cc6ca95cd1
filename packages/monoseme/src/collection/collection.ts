import { type Dictionary, loadDictionary, outputWidth, weightsFile } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import { openFeatureIndex } from '../features/index.ts';
import { sha256File } from '../formats/index.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import { findCorrelations, type FoundCorrelation, packCorrelations } from './find-correlations.ts';
import { findMembers, type FoundMember } from './find-members.ts';
import { BINS_PER_POWER, factsOf, type MemberFacts } from './member-facts.ts';
import { MATCHES_PER_LATENT, packMatches } from './matches.ts';

const COLLECTION_VERSION = 1;
/** Dictionaries held for the next comparison, and comparisons held for the next reader. */
const MOST_DICTIONARIES = 3;
const MOST_MATCHES = 64;

/** `manifest.json` of a collection (docs/collections.md). */
export interface CollectionManifest {
  readonly schema_version: 1;
  readonly kind: 'feature-collection';
  readonly details: {
    readonly collection_version: number;
    readonly bins_per_power: number;
    readonly matches_per_latent: number;
    readonly members: readonly MemberFacts[];
    /** Pairs of members, by their places, whose latents are matched in `matches/FROM--TO.bin`. */
    readonly matches: readonly (readonly [number, number])[];
    /** Pairs compared by what fires together, in `matches/FROM--TO.activation.bin`. Older collections do not say. */
    readonly correlations?: readonly (readonly [number, number])[];
  };
}

/** Feature indexes of several dictionaries, to be read side by side. Nothing of them is copied. */
export class Collection {
  readonly members: readonly FoundMember[];
  readonly manifest: CollectionManifest;
  readonly #backend: KernelBackend;
  readonly #correlations: readonly FoundCorrelation[];
  readonly #dictionaries = new Map<string, Promise<Dictionary>>();
  readonly #matches = new Map<string, Promise<Uint8Array<ArrayBuffer>>>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    members: readonly FoundMember[],
    facts: readonly MemberFacts[],
    correlations: readonly FoundCorrelation[],
    backend: KernelBackend,
  ) {
    this.members = members;
    this.#correlations = correlations;
    this.#backend = backend;
    this.manifest = {
      schema_version: 1,
      kind: 'feature-collection',
      details: {
        collection_version: COLLECTION_VERSION,
        bins_per_power: BINS_PER_POWER,
        matches_per_latent: MATCHES_PER_LATENT,
        members: facts,
        matches: comparablePairs(members, facts),
        correlations: correlations.map(({ pair }) => pair),
      },
    };
  }

  /** Names of the files of pairs, without their folder `matches/`: of their directions, or of what fires together. */
  matchesFile([from, to]: readonly [number, number], by: 'direction' | 'activation' = 'direction'): string {
    const ending = by === 'direction' ? 'bin' : 'activation.bin';
    return `${this.members[from].name}--${this.members[to].name}.${ending}`;
  }

  /**
   * The matches of a pair of the manifest, as {@link packMatches} lays them out. Pairs are computed one after the other,
   * so that only a few dictionaries are held.
   *
   * @throws {MonosemeError} ERR_OPTION for a pair that is not in the manifest; ERR_MISMATCH for a dictionary that is not
   * the one indexed; ERR_FORMAT for a damaged analysis; what `loadDictionary` throws
   */
  matches(file: string): Promise<Uint8Array<ArrayBuffer>> {
    const compared = this.#correlations.find(({ pair }) => this.matchesFile(pair, 'activation') === file);
    if (compared) return packCorrelations(compared.path, this.#sizes(compared.pair));
    const pair = this.manifest.details.matches.find((known) => this.matchesFile(known) === file);
    if (!pair)
      return Promise.reject(
        new MonosemeError('ERR_OPTION', `The collection has no matches ${file}.`, 'Its manifest lists them.'),
      );
    return remembered(this.#matches, MOST_MATCHES, file, () => {
      const made = this.#last.then(() => this.#match(this.members[pair[0]], this.members[pair[1]]));
      this.#last = made.catch(() => undefined);
      return made;
    });
  }

  #sizes([from, to]: readonly [number, number]): [number, number] {
    const { members } = this.manifest.details;
    return [members[from].d_sae, members[to].d_sae];
  }

  async #match(from: FoundMember, to: FoundMember): Promise<Uint8Array<ArrayBuffer>> {
    const [a, b] = [await this.#dictionary(from), await this.#dictionary(to)];
    if (outputWidth(a) !== outputWidth(b))
      throw new MonosemeError(
        'ERR_MISMATCH',
        `${from.name} and ${to.name} reconstruct activations of different widths.`,
        'Compare dictionaries of the same activations.',
      );
    return packMatches(this.#backend, a, b);
  }

  #dictionary(member: FoundMember): Promise<Dictionary> {
    return remembered(this.#dictionaries, MOST_DICTIONARIES, member.name, () => dictionaryOf(member));
  }
}

/**
 * The collection of the indexes in these folders and below them.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND where there is none; what `openFeatureIndex` throws for one that is damaged
 */
export async function openCollection(paths: readonly string[], backend: KernelBackend): Promise<Collection> {
  const members = await findMembers(paths);
  if (members.length === 0)
    throw new MonosemeError(
      'ERR_NOT_FOUND',
      `There is no feature index in ${paths.join(', ')} or below.`,
      'Build one with monoseme index.',
    );
  const facts: MemberFacts[] = [];
  for (const member of members) facts.push(await factsOf(member));
  return new Collection(members, facts, await findCorrelations(paths, members), backend);
}

/** Directions can be compared where two dictionaries read the same tensor of the same model. */
function comparablePairs(
  members: readonly FoundMember[],
  facts: readonly MemberFacts[],
): readonly (readonly [number, number])[] {
  const groups = new Map<string, number[]>();
  facts.forEach(({ indexed, model_name, hook_name, d_in }, place) => {
    if (!indexed || members[place].dictionary === undefined) return;
    const key = JSON.stringify([model_name, hook_name, d_in]);
    groups.set(key, [...(groups.get(key) ?? []), place]);
  });
  return [...groups.values()].flatMap((group) =>
    group.flatMap((from) => group.filter((to) => to !== from).map((to): [number, number] => [from, to])),
  );
}

async function dictionaryOf({ dictionary, index }: FoundMember): Promise<Dictionary> {
  const path = dictionary as string;
  const { manifest } = await openFeatureIndex(index as string);
  if ((await sha256File(await weightsFile(path))) !== manifest.madeFrom['dictionary'])
    throw new MonosemeError(
      'ERR_MISMATCH',
      `${path} is not the dictionary that ${index} was made from.`,
      'Build the index again, or put its dictionary beside it.',
    );
  return loadDictionary(path);
}

/** What was made for a key, or is made now; the oldest is forgotten where there are too many, a failure at once. */
function remembered<T>(
  known: Map<string, Promise<T>>,
  most: number,
  key: string,
  make: () => Promise<T>,
): Promise<T> {
  const before = known.get(key);
  if (before) return before;
  const made = make();
  known.set(key, made);
  made.catch(() => known.delete(key));
  if (known.size > most) known.delete(known.keys().next().value as string);
  return made;
}
