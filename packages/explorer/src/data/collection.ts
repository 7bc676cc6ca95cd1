import type { CollectionManifest } from 'monoseme/collection';
import { FeatureIndex } from './feature-index.ts';
import { IndexError } from './index-error.ts';
import { Matches } from './matches.ts';
import { memberLabels } from './member-labels.ts';
import { RemoteFile } from './remote-file.ts';

/** The version of collections that this page reads (docs/collections.md). */
const COLLECTION_VERSION = 1;

/** How latents are matched: by the cosine of their directions, or by the correlation of their activations. */
export const MATCH_KINDS = ['direction', 'activation'] as const;
export type MatchKind = (typeof MATCH_KINDS)[number];

type Details = CollectionManifest['details'];
/** What the collection's manifest says of one of its dictionaries, and what it is called where there is little room. */
export type Member = Details['members'][number] & { readonly label: string };

/** Many dictionaries side by side. Their indexes are opened when they are looked at. */
export class Collection {
  readonly members: readonly Member[];
  readonly binsPerPower: number;
  readonly #base: URL;
  readonly #details: Details;
  readonly #indexes = new Map<string, Promise<FeatureIndex>>();
  readonly #matches = new Map<string, Matches>();

  constructor(base: URL, json: { details?: Partial<Details> }) {
    const { collection_version: version, members, matches } = json.details ?? {};
    if (version !== COLLECTION_VERSION)
      throw new IndexError(
        'The collection is of another version',
        `It has version ${String(version)}; this page reads version ${COLLECTION_VERSION}.`,
        Number(version) > COLLECTION_VERSION
          ? 'Open it with a newer Monoseme.'
          : 'Write it again with this version of Monoseme.',
      );
    if (!Array.isArray(members) || !Array.isArray(matches))
      throw new IndexError(
        'The manifest of the collection is incomplete',
        'It lacks the list of its dictionaries.',
        'Write the collection again.',
      );
    this.#base = base;
    this.#details = json.details as Details;
    const labels = memberLabels(members);
    this.members = members.map((member, i) => ({ ...member, label: labels[i] }));
    this.binsPerPower = this.#details.bins_per_power;
  }

  /** @throws {IndexError} where there is none of this name */
  member(name: string): Member {
    const found = this.members.find((member) => member.name === name);
    if (found) return found;
    throw new IndexError(
      `There is no dictionary ${name} here`,
      `This collection has ${this.members.length} others.`,
      'Go back to the collection and choose one.',
    );
  }

  /** The label of a dictionary; the name itself where there is none of this name. */
  labelOf(name: string): string {
    return this.members.find((member) => member.name === name)?.label ?? name;
  }

  index(name: string): Promise<FeatureIndex> {
    let index = this.#indexes.get(name);
    if (!index) {
      index = this.#open(name);
      index.catch(() => this.#indexes.delete(name));
      this.#indexes.set(name, index);
    }
    return index;
  }

  async #open(name: string): Promise<FeatureIndex> {
    const { indexed, problem } = this.member(name);
    if (indexed) return FeatureIndex.open(new URL(`${name}/`, this.#base));
    throw new IndexError(
      `${name} has no index that can be opened`,
      problem ?? 'Only the figures of its run are known.',
      'Build one with `monoseme index` into the folder of the dictionary, then open the collection again.',
    );
  }

  /** Dictionaries whose latents are matched with those of this one. */
  matchedWith(name: string): Member[] {
    const place = this.members.findIndex((member) => member.name === name);
    return this.#details.matches.flatMap(([from, to]) => (from === place ? [this.members[to]] : []));
  }

  /** The ways in which the latents of two dictionaries are matched, the nearest directions first; none where they are not. */
  waysToMatch(from: string, to: string): readonly MatchKind[] {
    const { matches, correlations = [] } = this.#details;
    const has = (pairs: readonly (readonly [number, number])[]) =>
      pairs.some(([a, b]) => this.members[a]?.name === from && this.members[b]?.name === to);
    return MATCH_KINDS.filter((kind) => has(kind === 'direction' ? matches : correlations));
  }

  /** The matches of a pair that {@link waysToMatch} names. */
  matches(from: string, to: string, by: MatchKind = 'direction'): Matches {
    const file = `${from}--${to}.${by === 'direction' ? 'bin' : 'activation.bin'}`;
    let matches = this.#matches.get(file);
    if (!matches) {
      const perLatent = this.#details.matches_per_latent;
      const bytes = Matches.bytes(this.member(from).d_sae, perLatent);
      const url = new URL(`matches/${file}`, this.#base);
      matches = new Matches(new RemoteFile(url, bytes), perLatent);
      this.#matches.set(file, matches);
    }
    return matches;
  }
}
