import { MIN_BLOCKS } from '../evaluation/index.ts';
import { snakeCaseKeys } from '../formats/index.ts';
import { plot } from '../plots/index.ts';
import { figureText, intervalText, percentText } from '../report/index.ts';
import type { Automata, AutomatonSystem } from './automata.ts';
import { automatonGraph } from './automaton-graph.ts';
import type { ProxyFit, ProxyResult, ProxySearch } from './proxy-search.ts';
import type { Analysis } from './write-analysis.ts';

/** A search counts as won by the latent when its correlation is this much larger than the best neuron's. */
export const CLEAR_LEAD = 0.2;

/** What a proxy search says, as JSON and as a report. */
export function proxyAnalysis({ results, nTokens, nDocuments, controlNames }: ProxySearch): Analysis {
  const compared = results.filter(({ latent }) => latent !== undefined);
  const won = compared.filter((result) => leadOf(result) >= CLEAR_LEAD);
  const absent = results.filter(({ latent }) => latent === undefined).map(({ proxy }) => proxy);
  const fitJson = (fit: ProxyFit | undefined) =>
    fit ? { ...snakeCaseKeys({ ...fit }), confusion: snakeCaseKeys({ ...fit.confusion }) } : null;
  const bars = (name: string, fit: (result: ProxyResult) => ProxyFit | undefined) =>
    ({ kind: 'bars', name, values: compared.map((result) => fit(result)?.correlation ?? 0) }) as const;
  return {
    name: 'proxies',
    title: 'Computational proxies',
    summary: `For ${won.length} of ${compared.length} concepts the best latent correlates at least ${CLEAR_LEAD} better than the best neuron.`,
    json: {
      n_tokens: nTokens,
      n_compared: compared.length,
      n_clear_leads: won.length,
      proxies: results.map(({ latent, neuron, controls, proxy, nTokens: found, share, intervals }) => ({
        ...{ proxy, n_tokens: found, share },
        ...{ latent: fitJson(latent), neuron: fitJson(neuron) },
        intervals: Object.fromEntries(
          (['latent', 'neuron', 'lead'] as const).map((name) => [name, intervals[name] ?? null]),
        ),
        controls: Object.fromEntries(controlNames.map((name, i) => [name, fitJson(controls[i])])),
      })),
    },
    sections: [
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
    ],
  };
}

function leadOf({ latent, neuron }: ProxyResult): number {
  return latent ? latent.correlation - (neuron?.correlation ?? 0) : -Infinity;
}

const LISTED_SYSTEMS = 12;

/** @param label the token that a latent fires on most */
export function automataAnalysis(
  { edges, systems, nSteps }: Automata,
  label: (latent: number) => string,
): Analysis {
  const larger = systems.filter(({ latents }) => latents.length > 1);
  const json = ({ latents, edges, strength }: AutomatonSystem) => ({
    latents: latents.map((latent) => ({ latent, top_token: label(latent) })),
    strength,
    edges: edges.map((edge) => snakeCaseKeys({ ...edge })),
  });
  return {
    name: 'automata',
    title: 'Finite-state automata',
    summary: `${larger.length} systems of two or more latents, ${systems.length - larger.length} latents that lead to themselves.`,
    json: { n_steps: nSteps, n_edges: edges.length, systems: systems.map(json) },
    sections: [
      {
        title: 'Systems',
        text: [
          `From ${edges.length} steps that are likely and much likelier than by chance, over ` +
            `${nSteps.toLocaleString('en')} pairs of neighbouring tokens. In a circle: the latent and the token it fires on most.`,
          ...(systems.length === 0 ? ['No system was found in this text.'] : []),
        ],
        figures: systems.slice(0, LISTED_SYSTEMS).map((system) => automatonGraph(system, label)),
        tables: [
          {
            header: ['latents', 'strength', 'steps'],
            rows: systems.map(({ latents, strength, edges }) => [
              latents.map((latent) => `${latent} (${label(latent)})`).join(', '),
              percentText(strength),
              edges
                .map(({ from, to, probability }) => `${from}→${to} ${percentText(probability, 0)}`)
                .join(', '),
            ]),
          },
        ],
      },
    ],
  };
}
