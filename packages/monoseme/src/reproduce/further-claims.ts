import { figureText, percentText } from '../report/index.ts';
import { type Claim, judged, shown } from './claim.ts';
import type { Findings, Measured, MotifFindings } from './findings.ts';

const percent = (value: number | null) => percentText(value ?? undefined);

export function neuronClaim({ neurons }: Findings): Claim {
  const { correlation, fracAlike } = neurons.figures;
  return judged(neurons, {
    id: 'not-a-neuron',
    claim: 'Latents are not neurons.',
    paper: 'the most correlated neurons of base64 and Hebrew: 0.18 and 0.1',
    ours: `median correlation with the most correlated neuron ${shown(correlation, figureText)}; above 0.5 for ${percent(fracAlike)}`,
    ...correlation,
    rule: 'a median below 0.5',
    holds: correlation.value === null ? null : correlation.value < 0.5,
  });
}

function motifText({ context, tokenInContext, singleToken, trigram }: MotifFindings): string {
  const share = (measured: Measured) => shown(measured, percentText);
  return `context ${share(context)}, token in context ${share(tokenInContext)}, single token ${share(singleToken)}, trigram ${share(trigram)}`;
}

export function motifClaim({ motifs }: Findings): Claim {
  const { nKnown, context, tokenInContext, trigram } = motifs.figures;
  return judged(motifs, {
    id: 'motifs',
    claim: 'There are context, token-in-context and trigram-like latents.',
    paper: 'examples: over 100 for "the" in contexts, "19" behind COVID-',
    ours: `of ${nKnown} latents ${motifText(motifs.figures)}`,
    ...tokenInContext,
    rule: 'at least one latent of each',
    holds: nKnown === 0 ? null : [context, tokenInContext, trigram].every(({ value }) => value! > 0),
  });
}

export function controlMotifClaim({ motifs, controlMotifs }: Findings): Claim {
  const [own, control] = [motifs.figures.singleToken, controlMotifs.figures.singleToken];
  return judged(controlMotifs, {
    id: 'control-single-token',
    claim: 'In the model with shuffled weights more latents are of a single token.',
    paper: 'its features score high only because so many are of a single token',
    ours: `single token ${shown(control, percentText)}, of A's ${shown(own, percentText)}; there ${motifText(controlMotifs.figures)}`,
    ...control,
    rule: 'a larger share than in A',
    holds: own.value === null || control.value === null ? null : control.value > own.value,
  });
}

export function persistenceClaim({ persistence }: Findings): Claim {
  const { directions, random } = persistence.figures;
  return judged(persistence, {
    id: 'persistence',
    claim: 'Decoder directions hold on along a text more than other directions of the same variance.',
    paper: 'not in the paper: a criticism is that dictionaries follow strong directions only',
    ours: `autocorrelation between neighbouring tokens ${shown(directions, figureText)}, of random directions ${shown(random, figureText)} (medians)`,
    ...directions,
    rule: 'a larger median than random directions',
    holds: directions.value === null || random.value === null ? null : directions.value > random.value,
  });
}

export function circleClaim({ circle }: Findings): Claim {
  const { nLatents, dimension, anglesCovered } = circle.figures;
  return judged(circle, {
    id: 'manifolds',
    claim: 'A curved feature is cut into many latents.',
    paper: 'suspected in its discussion of feature manifolds, not measured',
    ours:
      nLatents === null
        ? 'no group of latents on the planted circle'
        : `a planted circle: ${nLatents} latents in ${figureText(dimension!)} dimensions, ${percent(anglesCovered)} of the angles`,
    value: nLatents,
    interval: null,
    rule: 'at least five latents in fewer than three dimensions',
    holds: nLatents !== null && nLatents >= 5 && dimension! < 3,
  });
}
