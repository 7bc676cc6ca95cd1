import { snakeCaseKeys } from '../formats/index.ts';
import { percentText } from '../report/index.ts';
import type { Automata, AutomatonSystem } from './automata.ts';
import { automatonGraph } from './automaton-graph.ts';
import type { Analysis } from './write-analysis.ts';

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
            `${nSteps.toLocaleString('en')} pairs of neighbouring tokens. In a circle: the latent and the token it fires on most. Of a step: its probability and 95 % (Wilson).`,
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
                .map(({ from, to, probability, interval }) => {
                  const [low, high] = interval.map((end) => (100 * end).toFixed(0));
                  return `${from}→${to} ${percentText(probability, 0)} (${low} to ${high})`;
                })
                .join(', '),
            ]),
          },
        ],
      },
    ],
  };
}
