import { snakeCaseKeys } from '../formats/index.ts';
import { plot } from '../plots/index.ts';
import { figureText, percentText } from '../report/index.ts';
import { SORTED_MOTIFS } from './motifs.ts';
import { sharesJson } from './motifs-analysis.ts';
import type { Side } from './side-by-side.ts';
import type { Analysis } from './write-analysis.ts';

export function controlsAnalysis(sides: readonly Side[]): Analysis {
  const names = sides.map(({ name }) => name);
  return {
    name: 'controls',
    title: 'Controls side by side',
    summary: `Mean correlation of the best column with concepts: ${sides
      .map(({ name, meanCorrelation }) => `${name} ${figureText(meanCorrelation)}`)
      .join(', ')}.`,
    json: {
      sides: sides.map(({ motifs, medianDensity, meanCorrelation, ...side }) => ({
        ...snakeCaseKeys<unknown>(side),
        median_density: medianDensity ?? null,
        mean_correlation: meanCorrelation ?? null,
        motifs: sharesJson(motifs),
      })),
    },
    sections: [
      {
        title: 'Figures',
        text: [
          'The same figures of the dictionary and of each control, over the same text. Principal components and random ' +
            'directions are about the mean and the origin and fire on half of the tokens; neurons where they are positive.',
        ],
        figures: [
          plot({
            title: 'Concepts: mean correlation of the best',
            x: { label: 'Pearson correlation' },
            y: { label: '', categories: names },
            marks: [{ kind: 'bars', values: sides.map(({ meanCorrelation }) => meanCorrelation ?? 0) }],
          }),
          plot({
            title: 'Motifs',
            x: { label: 'share of those that are not rare' },
            y: { label: 'motif', categories: SORTED_MOTIFS },
            marks: sides.map(({ name, motifs }) => ({
              kind: 'bars',
              name,
              values: SORTED_MOTIFS.map((motif) => motifs?.get(motif)?.value ?? 0),
            })),
          }),
        ],
        tables: [
          {
            header: [
              ...['', 'columns', 'active a token', 'median density', 'silent'],
              ...['mean correlation', 'clear leads', ...SORTED_MOTIFS],
            ],
            rows: sides.map((side) => [
              side.name,
              side.nColumns.toLocaleString('en'),
              figureText(side.l0),
              figureText(side.medianDensity),
              String(side.nSilent),
              figureText(side.meanCorrelation),
              `${side.nClearLeads} of ${side.nConcepts}`,
              ...SORTED_MOTIFS.map((motif) => percentText(side.motifs?.get(motif)?.value)),
            ]),
          },
        ],
      },
    ],
  };
}
