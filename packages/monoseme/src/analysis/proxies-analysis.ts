import { MIN_BLOCKS } from '../evaluation/index.ts';
import { snakeCaseKeys } from '../formats/index.ts';
import { plot } from '../plots/index.ts';
import { figureText, intervalText, percentText, type ReportSection } from '../report/index.ts';
import {
  type ChosenLatent,
  MIN_TOKENS,
  type ProxyFit,
  type ProxyResult,
  type ProxySearch,
} from './proxy-search.ts';
import type { SplitHistogram } from './split-histogram.ts';
import type { Analysis } from './write-analysis.ts';

/** A search counts as won by the latent when its correlation is this much larger than the best neuron's. */
export const CLEAR_LEAD = 0.2;

/** What a proxy search says, as JSON and as a report. */
export function proxyAnalysis(search: ProxySearch): Analysis {
  const { results, nTokens, nDocuments, controlNames, chosen } = search;
  const compared = results.filter(({ latent }) => latent !== undefined);
  const won = compared.filter((result) => leadOf(result) >= CLEAR_LEAD);
  const absent = results.filter(({ latent }) => latent === undefined).map(({ proxy }) => proxy);
  const bars = (name: string, fit: (result: ProxyResult) => ProxyFit | undefined) =>
    ({ kind: 'bars', name, values: compared.map((result) => fit(result)?.correlation ?? 0) }) as const;
  return {
    name: 'proxies',
    title: 'Computational proxies',
    summary:
      compared.length === 0
        ? `No concept can be compared: that takes ${MIN_TOKENS} tokens of one, and a latent that is active on some.`
        : `For ${won.length} of ${compared.length} concepts the best latent correlates at least ${CLEAR_LEAD} better than the best neuron.`,
    json: {
      n_tokens: nTokens,
      n_compared: compared.length,
      n_clear_leads: won.length,
      proxies: results.map(
        ({ latent, neuron, controls, proxy, nTokens: found, share, intervals, histogram }) => ({
          ...{ proxy, n_tokens: found, share },
          ...{ latent: fitJson(latent), neuron: fitJson(neuron) },
          intervals: Object.fromEntries(
            (['latent', 'neuron', 'lead'] as const).map((name) => [name, intervals[name] ?? null]),
          ),
          histogram: histogramJson(histogram),
          controls: Object.fromEntries(controlNames.map((name, i) => [name, fitJson(controls[i])])),
        }),
      ),
      latents: chosen.map(({ latent, fits, histogram }) => ({
        latent,
        fits: fits.map(({ proxy, fit }) => ({ proxy, ...fitJson(fit) })),
        histogram: histogramJson(histogram),
      })),
    },
    sections: [
      ...chosen.map(chosenSection),
      {
        title: 'Best latent and best neuron',
        text: [
          `Over ${nTokens.toLocaleString('en')} tokens. Correlation: Pearson, of the activation with the proxy's score.`,
          nDocuments < MIN_BLOCKS
            ? `No intervals: the text has ${nDocuments} documents, and ${MIN_BLOCKS} are needed.`
            : 'Intervals: 95 %, block bootstrap over documents, of the pair that was found.',
          ...(absent.length === 0
            ? []
            : [`On too few tokens, or with nothing active on them: ${absent.join(', ')}.`]),
        ],
        figures: [
          plot({
            title: 'Correlation with the proxy',
            x: { label: 'Pearson correlation' },
            y: { label: 'concept', categories: compared.map(({ proxy }) => proxy) },
            marks: [
              bars('best latent', ({ latent }) => latent),
              bars('best neuron', ({ neuron }) => neuron),
              ...controlNames.map((name, i) => bars(`best of ${name}`, ({ controls }) => controls[i])),
            ],
          }),
        ],
        tables: [
          {
            header: [
              'concept',
              'tokens',
              'latent',
              'correlation',
              'specificity',
              'weighted',
              'recall',
              'neuron',
              'correlation',
              'lead',
              '95 %',
              ...controlNames,
            ],
            rows: compared.map(({ proxy, nTokens: found, latent, neuron, controls, intervals }) => [
              proxy,
              found.toLocaleString('en'),
              String(latent!.index),
              figureText(latent!.correlation),
              percentText(latent!.specificity),
              percentText(latent!.weightedSpecificity),
              percentText(latent!.recall),
              neuron ? String(neuron.index) : '–',
              figureText(neuron?.correlation),
              figureText(latent!.correlation - (neuron?.correlation ?? 0)),
              intervalText(intervals.lead),
              ...controls.map((fit) => figureText(fit?.correlation)),
            ]),
          },
          {
            caption:
              'Confusion: tokens by whether the best latent is active and whether the proxy is positive',
            header: ['concept', 'both', 'latent alone', 'proxy alone', 'neither'],
            rows: compared.map(({ proxy, latent }) => {
              const { both, activeOnly, proxyOnly, neither } = latent!.confusion;
              return [proxy, ...[both, activeOnly, proxyOnly, neither].map((n) => n.toLocaleString('en'))];
            }),
          },
        ],
      },
      {
        title: 'Specificity of the best latents',
        text: [
          'Activations of each latent where it is active, split by whether the token is of the concept: on the left how often ' +
            'each strength occurs, on the right how much of the activation lies there.',
        ],
        figures: compared.flatMap(({ proxy, latent, histogram }) =>
          histogramPlots(`${proxy}, latent ${latent!.index}`, proxy, histogram),
        ),
      },
    ],
  };
}

/** A latent that was asked for. */
function chosenSection({ latent, fits, histogram }: ChosenLatent): ReportSection {
  const title = `Latent ${latent}`;
  const [best] = fits;
  if (best === undefined)
    return { title, text: ['It is active on no token of any concept that this text has enough of.'] };
  return {
    title,
    text: [`Of the concepts it goes best with ${best.proxy}.`],
    figures: histogramPlots(`Latent ${latent} by ${best.proxy}`, best.proxy, histogram),
    tables: [
      {
        header: ['concept', 'correlation', 'specificity', 'weighted', 'recall'],
        rows: fits.map(({ proxy, fit }) => [
          ...[proxy, figureText(fit.correlation), percentText(fit.specificity)],
          ...[percentText(fit.weightedSpecificity), percentText(fit.recall)],
        ]),
      },
    ],
  };
}

function histogramPlots(title: string, concept: string, histogram: SplitHistogram | undefined): string[] {
  if (histogram === undefined) return [];
  const { edges, counts, mass } = histogram;
  const drawn = [
    ['tokens', counts],
    ['activation × tokens', mass],
  ] as const;
  return drawn.map(([label, [ofConcept, others]]) =>
    plot({
      ...{ title, width: 380, height: 200, x: { label: 'activation' }, y: { label } },
      marks: [
        { kind: 'histogram', name: concept, edges, counts: ofConcept },
        { kind: 'histogram', name: 'other tokens', edges, counts: others },
      ],
    }),
  );
}

function fitJson(fit: ProxyFit | undefined) {
  return fit ? { ...snakeCaseKeys({ ...fit }), confusion: snakeCaseKeys({ ...fit.confusion }) } : null;
}

function histogramJson(histogram: SplitHistogram | undefined) {
  if (histogram === undefined) return null;
  const { edges, counts, mass } = histogram;
  const [ofConcept, others] = counts.map((values) => [...values]);
  const [massOfConcept, massOfOthers] = mass.map((values) =>
    Array.from(values, (value) => Number(value.toPrecision(6))),
  );
  return {
    edges,
    of_concept: ofConcept,
    others,
    mass_of_concept: massOfConcept,
    mass_of_others: massOfOthers,
  };
}

function leadOf({ latent, neuron }: ProxyResult): number {
  return latent ? latent.correlation - (neuron?.correlation ?? 0) : -Infinity;
}
