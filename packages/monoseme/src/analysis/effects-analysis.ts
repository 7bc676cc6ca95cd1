import { plot } from '../plots/index.ts';
import { figureText, intervalText, type ReportSection } from '../report/index.ts';
import type { ContextEffects, LatentEffects, MeanEffect, TokenWeight } from './latent-effects.ts';
import type { Analysis } from './write-analysis.ts';

/** Tokens listed of a context. */
const LISTED = 6;

/** Text that the model wrote with a latent held at its largest activation, and without that. */
export interface PinnedSample {
  readonly latent: number;
  readonly prompt: string;
  readonly pinned: readonly string[];
  readonly original: readonly string[];
}

export function effectsAnalysis(
  effects: readonly LatentEffects[],
  samples: readonly PinnedSample[],
  tokenText: (token: number) => string,
): Analysis {
  const silent = effects.filter(({ largest }) => largest === 0).map(({ latent }) => latent);
  const weights = (list: readonly TokenWeight[]) =>
    list.map(({ token, weight }) => [tokenText(token), weight]);
  return {
    name: 'effects',
    title: 'Downstream effects',
    summary:
      `What ${effects.length === 1 ? 'latent' : 'latents'} ${effects.map(({ latent }) => latent).join(', ')} ${effects.length === 1 ? 'does' : 'do'} to what the model says.` +
      (silent.length > 0 ? ` Never active on this text: ${silent.join(', ')}.` : ''),
    json: {
      latents: effects.map(({ latent, largest, contexts, lossChange, divergences, raised, lowered }) => ({
        ...{ latent, largest },
        loss_change: lossChange ? meanJson(lossChange) : null,
        divergences: divergences.map(meanJson),
        ...{ raised: weights(raised), lowered: weights(lowered) },
        contexts: contexts.map(({ tokens, activations, lossChanges }) => ({
          tokens: Array.from(tokens, tokenText),
          activations: [...activations],
          loss_changes: [...lossChanges],
        })),
        samples: samples.find((sample) => sample.latent === latent) ?? null,
      })),
    },
    sections: effects.map((effect) => section(effect, samples, tokenText)),
  };
}

function meanJson({ value, interval }: MeanEffect) {
  return { value, interval: interval ?? null };
}

function section(
  { latent, largest, contexts, lossChange, divergences, raised, lowered }: LatentEffects,
  samples: readonly PinnedSample[],
  tokenText: (token: number) => string,
): ReportSection {
  const list = (weights: readonly TokenWeight[]) =>
    weights.map(({ token, weight }) => `${tokenText(token)} ${weight.toFixed(2)}`).join(', ');
  const sample = samples.find((one) => one.latent === latent);
  return {
    title: `Latent ${latent}`,
    text: [
      `Raises the logits of ${list(raised)}.`,
      `Lowers those of ${list(lowered)}.`,
      ...(largest === 0
        ? ['It is active on no token of this text, so nothing was ablated.']
        : [
            `Ablated on every token of the ${contexts.length} contexts of its largest activations (up to ${figureText(largest)}); ` +
              'and at the peak alone, for the divergence on every later token.',
            `Without it a token of these contexts loses ${figureText(lossChange!.value)} nats on average ` +
              `(95 %, over contexts: ${intervalText(lossChange!.interval)}).`,
          ]),
    ],
    figures:
      divergences.length === 0
        ? []
        : [
            plot({
              title: `Divergence behind the peak, latent ${latent}`,
              x: { label: 'tokens behind the peak' },
              y: { label: 'KL (nats)' },
              height: 220,
              marks: [
                {
                  kind: 'line',
                  x: divergences.map((_, offset) => offset),
                  y: divergences.map(({ value }) => value),
                },
              ],
            }),
          ],
    tables: [
      ...(divergences.length === 0
        ? []
        : [
            {
              caption: 'Divergence behind the peak, mean over contexts',
              header: ['tokens behind', 'KL (nats)', '95 %, over contexts'],
              rows: divergences.map(({ value, interval }, offset) => [
                ...[String(offset), figureText(value), intervalText(interval)],
              ]),
            },
          ]),
      {
        header: ['around the peak', 'tokens that lose most without it (nats)'],
        rows: contexts.map((context) => contextRow(context, tokenText)),
      },
      ...(sample
        ? [
            {
              caption: `Behind “${sample.prompt}”, held at ${figureText(largest)}, beside the model as it is`,
              header: ['held', 'as it is'],
              rows: sample.pinned.map((pinned, i) => [pinned, sample.original[i]]),
            },
          ]
        : []),
    ],
  };
}

function contextRow(
  { tokens, activations, lossChanges }: ContextEffects,
  tokenText: (token: number) => string,
) {
  const peak = activations.reduce((best, value, i) => (value > activations[best] ? i : best), 0);
  const around = [...tokens.slice(Math.max(0, peak - 8), peak + 4)].map(tokenText).join('');
  const order = [...lossChanges.keys()]
    .sort((a, b) => lossChanges[b] - lossChanges[a] || a - b)
    .slice(0, LISTED);
  const losers = order.filter((i) => lossChanges[i] > 0.01);
  return [
    around,
    losers.map((i) => `${tokenText(tokens[i])} +${lossChanges[i].toFixed(2)}`).join(', ') || '–',
  ];
}
