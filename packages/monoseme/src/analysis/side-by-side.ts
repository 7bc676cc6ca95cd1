import type { TokenSet } from '../corpus/index.ts';
import type { Share } from '../evaluation/index.ts';
import type { CodedText, Pass } from './coded-text.ts';
import type { TokenBytes } from './context-text.ts';
import { neurons, principalComponents, randomDirections } from './controls.ts';
import { CLEAR_LEAD } from './proxies-analysis.ts';
import { type Motif, motifs, motifShares } from './motifs.ts';
import type { Proxy } from './proxies.ts';
import { searchProxies } from './proxy-search.ts';
import { medianOf } from './universality.ts';

/** The same figures of one set of directions: a dictionary, or a control. */
export interface Side {
  readonly name: string;
  readonly nTokens: number;
  readonly nColumns: number;
  /** Columns active on a token, on average. */
  readonly l0: number;
  /** Of those that ever fire; undefined when none does. */
  readonly medianDensity: number | undefined;
  readonly nSilent: number;
  /** Mean over the concepts that occur of the largest correlation of any column; undefined when none occurs. */
  readonly meanCorrelation: number | undefined;
  /** Concepts for which its best column leads the best neuron clearly, of those that occur. */
  readonly nClearLeads: number;
  readonly nConcepts: number;
  /** Shares of the columns that fire on at least 20 tokens; undefined when none does. */
  readonly motifs: ReadonlyMap<Motif, Share> | undefined;
}

/** A dictionary, that of a shuffled model where there is one, and its controls, by name. */
export async function withControls(
  own: CodedText,
  shuffled: CodedText | undefined,
  signal?: AbortSignal,
): Promise<Map<string, CodedText>> {
  const { source } = own;
  const { dIn } = own.dictionary.config;
  return new Map<string, CodedText>([
    ['dictionary', own],
    ...(shuffled ? [['shuffled model', shuffled] as const] : []),
    ['neurons', { dictionary: neurons(dIn), source }],
    ['principal components', { dictionary: await principalComponents(source, { signal }), source }],
    ['random directions', { dictionary: randomDirections(dIn, 2 * dIn, 0), source }],
  ]);
}

/**
 * The figures of a dictionary and of its controls over one text, side by side: density, proxies, motifs.
 *
 * @param texts by name; those of another model (the shuffled one) are beside its own neurons
 * @throws {MonosemeError} ERR_MISMATCH, ERR_OPTION, ERR_INTERRUPTED
 */
export async function sideBySide(
  texts: ReadonlyMap<string, CodedText>,
  tokens: TokenSet,
  vocabulary: TokenBytes,
  proxies: readonly Proxy[],
  pass: Pass,
): Promise<Side[]> {
  const sides: Side[] = [];
  for (const [name, text] of texts) {
    const sorted = await motifs(text, tokens, vocabulary.vocabSize, pass);
    const { results } = await searchProxies(text, tokens, vocabulary, proxies, pass);
    const known = results.filter(({ latent }) => latent !== undefined);
    const fired = sorted.latents.map(({ nFired }) => nFired);
    const total = fired.reduce((sum, n) => sum + n, 0);
    const correlations = known.map(({ latent }) => latent!.correlation);
    const median = medianOf(fired.filter((n) => n > 0));
    sides.push({
      ...{ name, nTokens: sorted.nTokens, nColumns: fired.length, l0: total / sorted.nTokens },
      medianDensity: median === undefined ? undefined : median / sorted.nTokens,
      nSilent: fired.filter((n) => n === 0).length,
      meanCorrelation:
        correlations.length > 0
          ? correlations.reduce((sum, r) => sum + r, 0) / correlations.length
          : undefined,
      nClearLeads: known.filter(
        ({ latent, neuron }) => latent!.correlation - (neuron?.correlation ?? 0) >= CLEAR_LEAD,
      ).length,
      nConcepts: known.length,
      motifs: motifShares(sorted),
    });
  }
  return sides;
}
