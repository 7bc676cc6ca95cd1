import { plot } from '../plots/index.ts';
import { percentText } from '../report/index.ts';
import { type LatentMotif, type Motif, MOTIFS, type Motifs, motifShares, SORTED_MOTIFS } from './motifs.ts';
import type { Analysis } from './write-analysis.ts';

/** Latents listed of each motif. */
const LISTED = 8;

/** @param tokenText a token as people read it */
export function motifsAnalysis(found: Motifs, tokenText: (token: number) => string): Analysis {
  const { counts, latents, nTokens } = found;
  const shares = motifShares(found);
  return {
    name: 'motifs',
    title: 'Motifs',
    summary:
      shares === undefined
        ? 'No latent is active on 20 tokens of this text: give more text.'
        : `Of ${latents.length - counts.rare} latents ${[...shares]
            .map(([motif, { value }]) => `${percentText(value)} ${motif}`)
            .join(', ')}; ${counts.rare} too rare to say.`,
    json: {
      n_tokens: nTokens,
      counts,
      shares: sharesJson(shares),
      latents: latents.map(({ motif, nFired, token, tokenShare, recall, before, beforeShare, followed }) => ({
        motif,
        n_fired: nFired,
        token: token === undefined ? null : tokenText(token),
        token_share: tokenShare ?? null,
        recall: recall ?? null,
        before: before === undefined ? null : tokenText(before),
        before_share: beforeShare ?? null,
        followed: followed ?? null,
      })),
    },
    sections: [
      {
        title: 'What latents fire on',
        text: [
          `Over ${nTokens.toLocaleString('en')} tokens. Single-token latents have 90 % of their activation on one token; ` +
            'token-in-context latents leave out more than half of its occurrences; trigram latents fire behind one same ' +
            'token (80 %, twice the usual); context latents are active on 30 % of the 8 tokens after a firing.',
        ],
        figures: [
          plot({
            title: 'Latents by motif',
            x: { label: 'latents' },
            y: { label: 'motif', categories: MOTIFS },
            marks: [{ kind: 'bars', values: MOTIFS.map((motif) => counts[motif]) }],
          }),
        ],
        tables: [
          {
            header: ['motif', 'latents', 'share', '95 %, over latents'],
            rows: [...(shares ?? [])].map(([motif, { value, interval }]) => [
              motif,
              counts[motif].toLocaleString('en'),
              percentText(value),
              interval.map((end) => percentText(end)).join(' to '),
            ]),
          },
          ...SORTED_MOTIFS.map((motif) => examples(motif, latents, tokenText)),
        ],
      },
    ],
  };
}

/** Keys are the names of the motifs; null where every latent is too rare to say. */
export function sharesJson(shares: ReturnType<typeof motifShares>) {
  if (shares === undefined) return null;
  return Object.fromEntries([...shares].map(([motif, { value, interval }]) => [motif, { value, interval }]));
}

/** The clearest of a motif: those that fire most. */
function examples(motif: Motif, latents: readonly LatentMotif[], tokenText: (token: number) => string) {
  const own = [...latents.keys()].filter((latent) => latents[latent].motif === motif);
  own.sort((a, b) => latents[b].nFired - latents[a].nFired || a - b);
  return {
    caption: `${motif}: ${own.length}`,
    header: ['latent', 'firings', 'token', 'its share', 'of its occurrences', 'behind', 'share', 'followed'],
    rows: own.slice(0, LISTED).map((latent) => {
      const { nFired, token, tokenShare, recall, before, beforeShare, followed } = latents[latent];
      return [
        String(latent),
        nFired.toLocaleString('en'),
        token === undefined ? '–' : tokenText(token),
        percentText(tokenShare),
        percentText(recall),
        before === undefined ? '–' : tokenText(before),
        percentText(beforeShare),
        percentText(followed),
      ];
    }),
  };
}
