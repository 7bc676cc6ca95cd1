import { plot } from '../plots/index.ts';
import { figureText, percentText } from '../report/index.ts';
import type { NotNeurons, NeuronLikeness, Scatter } from './neuron-likeness.ts';
import type { Analysis } from './write-analysis.ts';

const LISTED = 20;

export function notNeuronsAnalysis(found: NotNeurons, scatters: readonly Scatter[]): Analysis {
  const { latents, median, interval, fracAlike, medianParticipation, nTokens } = found;
  const known = latents.filter(({ correlation }) => correlation !== undefined);
  const most = known.toSorted((a, b) => b.correlation! - a.correlation! || a.latent - b.latent);
  const counts = new Array<number>(20).fill(0);
  for (const { correlation } of known) counts[Math.min(19, Math.max(0, Math.floor(20 * correlation!)))]++;
  return {
    name: 'neurons',
    title: 'Not a neuron',
    summary:
      known.length === 0
        ? 'No latent is active on 20 tokens of this text: give more text.'
        : `The most correlated neuron of a latent has a correlation of ${figureText(median)} in the median; ` +
          `${percentText(fracAlike)} of the latents have one above 0.5.`,
    json: {
      n_tokens: nTokens,
      median: median ?? null,
      interval: interval ?? null,
      frac_above_half: fracAlike ?? null,
      median_participation: medianParticipation ?? null,
      latents: latents.map(({ nFired, neuron, correlation, coefficients, nLarge, participation }) => ({
        ...{ n_fired: nFired, neuron: neuron ?? null, correlation: correlation ?? null },
        coefficients: coefficients.map((one) => [one.neuron, Number(one.coefficient.toPrecision(6))]),
        ...{ n_large: nLarge, participation: Number(participation.toPrecision(6)) },
      })),
      scatters,
    },
    sections: [
      {
        title: 'Latents and their neurons',
        text: [
          `Pearson correlation of activations over ${nTokens.toLocaleString('en')} tokens; ` +
            `${latents.length - known.length} latents are active on fewer than 20 of them and have none. ` +
            `A decoder direction is spread over ${figureText(medianParticipation)} neurons in the median (1 / Σ w⁴).`,
        ],
        figures: [
          plot({
            title: 'Correlation with the most correlated neuron',
            x: { label: 'Pearson correlation', domain: [0, 1] },
            y: { label: 'latents' },
            marks: [{ kind: 'histogram', edges: Array.from({ length: 21 }, (_, i) => i / 20), counts }],
          }),
          ...scatters.map(({ latent, neuron, x, y }) =>
            plot({
              title: `Latent ${latent} and neuron ${neuron}`,
              x: { label: 'activation of the latent' },
              y: { label: 'activation of the neuron' },
              width: 300,
              height: 260,
              marks: [{ kind: 'points', x, y }],
            }),
          ),
        ],
        tables: [
          {
            caption: 'Most like a neuron',
            header: ['latent', 'firings', 'neuron', 'correlation', 'coefficients of 0.1 and more', 'largest'],
            rows: most.slice(0, LISTED).map(row),
          },
        ],
      },
    ],
  };
}

function row({ latent, nFired, neuron, correlation, nLarge, coefficients }: NeuronLikeness): string[] {
  return [
    String(latent),
    nFired.toLocaleString('en'),
    String(neuron),
    figureText(correlation),
    String(nLarge),
    coefficients.map((one) => `${one.neuron} (${one.coefficient.toFixed(2)})`).join(', '),
  ];
}
