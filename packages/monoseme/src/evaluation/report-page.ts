import { join } from 'node:path';
import { atomicWrite, TOOLKIT_VERSION } from '../formats/index.ts';
import { plot } from '../plots/index.ts';
import { figureText, htmlReport, percentText, type ReportSection } from '../report/index.ts';
import { densityHistogram } from './density-histogram.ts';
import { type EvaluationReport, type GroupFigures, intervalNote } from './evaluation-report.ts';
import { figureTables, hasDownstream } from './figure-rows.ts';
import type { TokenFigures } from './figures.ts';
import type { Provenance } from './report.ts';

/** Write `evaluation.html` into a folder: the report for people, with plots, in one file. */
export async function writeReportPage(
  folder: string,
  report: EvaluationReport,
  provenance: Provenance,
): Promise<string> {
  const path = join(folder, 'evaluation.html');
  await atomicWrite(path, reportPage(report, provenance));
  return path;
}

export function reportPage(report: EvaluationReport, provenance: Provenance): string {
  const { figures, counts, nDocuments } = report;
  const summary =
    `${provenance.subject} ${counts.tokens.toLocaleString('en')} tokens of ${nDocuments.toLocaleString('en')} documents: ` +
    `${figureText(figures.l0)} latents a token, ${percentText(figures.explainedVariance)} of the variance` +
    (hasDownstream(report) ? `, ${percentText(figures.ceLossScore)} of the loss recovered.` : '.');
  const { madeFrom, command, backend, seed, split } = provenance;
  return htmlReport({
    title: 'Evaluation of a dictionary',
    summary,
    sections: [
      figuresSection(report),
      densitySection(report),
      directionSection(report),
      ...groupSections(report),
    ],
    provenance: {
      ...(command === undefined ? {} : { command }),
      ...Object.fromEntries(Object.entries(madeFrom).map(([role, hash]) => [`SHA-256 of the ${role}`, hash])),
      'documents, seed': `${split}, ${seed}`,
      kernels: backend,
      monoseme: TOOLKIT_VERSION,
    },
  });
}

/** Why a report has no losses, for people. */
export const NOT_RUN_ON =
  'Loss recovered, divergence and agreement are absent: no model was run on from edited activations.';

function figuresSection(report: EvaluationReport): ReportSection {
  const how = 'Intervals: 95 %, block bootstrap over documents. Losses in nats, of the next token.';
  const { nLeftOut } = report;
  return {
    title: 'Figures',
    text: [
      report.intervals ? how : intervalNote(report),
      ...(hasDownstream(report) ? [] : [NOT_RUN_ON]),
      ...(nLeftOut > 0
        ? [`${nLeftOut.toLocaleString('en')} tokens that are left out are in no figure.`]
        : []),
    ],
    tables: figureTables(report),
  };
}

/** Density histogram, clusters, and the paper's plots of density against encoder bias and encoder · decoder. */
export function densitySection({ densities, clusters, directions }: EvaluationReport): ReportSection {
  const { edges, counts, neverFired } = densityHistogram(densities);
  const isUltralow = new Uint8Array(densities.length);
  for (const latent of clusters.ultralow) isUltralow[latent] = 1;
  const cluster = (ultralow: number) => {
    const of = Array.from(densities.keys()).filter((j) => densities[j] > 0 && isUltralow[j] === ultralow);
    return { of, x: of.map((j) => densities[j]) };
  };
  const panels = [
    ['encoder bias', directions.encoderBiases],
    ['encoder · decoder', directions.encoderDecoderProducts],
  ] as const;
  const names = ['live', 'ultralow'] as const;
  const scatter = panels.map(([label, values]) =>
    plot({
      title: `Density and ${label}`,
      x: { label: 'density (share of tokens)', scale: 'log' },
      y: { label },
      marks: names.slice(0, clusters.separated ? 2 : 1).map((name, ultralow) => {
        const { of, x } = cluster(ultralow);
        return { kind: 'points', name, x, y: of.map((j) => values[j]) };
      }),
    }),
  );
  const histogram = plot({
    title: 'Density of the latents',
    x: { label: 'density (share of tokens)', scale: 'log' },
    y: { label: 'latents' },
    marks: [{ kind: 'histogram', edges: edges.map((edge) => 10 ** edge), counts: [...counts] }],
  });
  const apart =
    clusters.valley === undefined
      ? 'Too few latents fired to look for an ultralow-density cluster.'
      : `Between two fitted clusters the density falls to ${percentText(clusters.valley)} of the lower peak: ` +
        (clusters.separated ? 'they stand apart.' : 'there is no separate ultralow-density cluster.');
  return {
    title: 'Density',
    text: [`${neverFired} latents fired on no token and are in no plot.`, apart],
    tables: [
      {
        header: ['latents', 'number', 'share'],
        rows: [
          ['live', clusters.nLive],
          ['ultralow density', clusters.nUltralow],
          ['never active', clusters.nDead],
        ].map(([name, n]) => [String(name), String(n), percentText(Number(n) / densities.length)]),
      },
    ],
    figures: [histogram, ...scatter],
  };
}

function directionSection({ directions }: EvaluationReport): ReportSection {
  const { histogram, meanNearestCosine, medianNearestCosine, fracNearDuplicates } = directions;
  return {
    title: 'Decoder directions',
    text: [
      `The cosine with the nearest other direction is ${figureText(meanNearestCosine)} on average, ` +
        `${figureText(medianNearestCosine)} in the median; ${percentText(fracNearDuplicates)} of the latents have ` +
        'another at 0.9 or more.',
    ],
    figures: [
      plot({
        title: 'Nearest neighbour',
        x: { label: 'cosine with the nearest other direction', domain: [0, 1] },
        y: { label: 'latents' },
        marks: [{ kind: 'histogram', edges: histogram.edges, counts: histogram.counts }],
      }),
    ],
  };
}

function groupSections({ byPosition, bySource }: EvaluationReport): ReportSection[] {
  return [
    ...groupSection('By position in the context', 'position', byPosition),
    ...groupSection('By source', 'source', bySource),
  ];
}

function groupSection(title: string, what: string, groups: readonly GroupFigures[]): ReportSection[] {
  const used = groups.filter(({ counts }) => counts.tokens > 0);
  if (used.length === 0) return [];
  const ranOn = used.some(hasDownstream);
  const bars = (label: string, value: (group: GroupFigures) => number) =>
    plot({
      title: label,
      x: { label },
      y: { label: what, categories: used.map(({ name }) => name) },
      marks: [{ kind: 'bars', values: used.map(value) }],
    });
  const losses = ranOn ? ['loss', 'reconstructed', 'loss recovered', 'same token'] : [];
  const section: ReportSection = {
    title,
    text: ['Explained variance is about the mean of the whole text, so that groups can be compared.'],
    tables: [
      {
        header: [what, 'tokens', 'L0', 'explained variance', ...losses],
        rows: used.map(({ name, counts, figures }) => [
          name,
          counts.tokens.toLocaleString('en'),
          figureText(figures.l0),
          percentText(figures.explainedVariance),
          ...(ranOn ? lossCells(figures) : []),
        ]),
      },
    ],
    figures: [
      bars('L0', ({ figures }) => figures.l0),
      ...(ranOn ? [bars('loss recovered', ({ figures }) => figures.ceLossScore)] : []),
    ],
  };
  return [section];
}

function lossCells({ ceLoss, ceLossReconstructed, ceLossScore, top1Agreement }: TokenFigures): string[] {
  return [
    figureText(ceLoss),
    figureText(ceLossReconstructed),
    percentText(ceLossScore),
    percentText(top1Agreement),
  ];
}
