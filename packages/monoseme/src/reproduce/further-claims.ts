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

export function effectClaim({ effects }: Findings): Claim {
  const { nLatents, nMissed, lossChange } = effects.figures;
  return judged(effects, {
    id: 'effects',
    claim: 'Latents do what they stand for: without one the model says its contexts less well.',
    paper: 'examples: without the Arabic feature the likelihood of Arabic tokens falls',
    ours:
      nLatents === 0
        ? 'no concept of this text has a latent that could be taken out'
        : `the best latents of ${nLatents} concepts: without ${nMissed} of them the loss rises, by ${shown(lossChange, figureText)} nats a token on average`,
    ...lossChange,
    rule: 'the loss rises without more than half of them',
    holds: nLatents === 0 ? null : nMissed > nLatents / 2,
  });
}

/** From how large a correlation on attributions are said to go with activations. */
const GOES_WITH = 0.5;

export function attributionClaim({ universality }: Findings): Claim {
  const { logitWeights, attributions, attributionsWithActivations: together } = universality.figures;
  const isKnown = logitWeights !== null && attributions !== null && together !== null;
  const text = (value: number | null) => figureText(value ?? undefined);
  return judged(universality, {
    id: 'attribution-similarity',
    claim: 'Matched latents have like attributions; their logit weights differ more, by interference.',
    paper:
      'attribution similarity goes well with activation similarity; one pair of 0.98 has a negative logit correlation',
    ours: `medians over matches: attributions ${text(attributions)}, logit weights ${text(logitWeights)}; attributions correlate with activations by ${text(together)}`,
    value: together,
    interval: null,
    rule: `a correlation of ${GOES_WITH} or more, and a larger median of attributions than of logit weights`,
    holds: isKnown ? together >= GOES_WITH && attributions > logitWeights : null,
  });
}

export function controlsClaim({ controls }: Findings): Claim {
  const { own, bestControl } = controls.figures;
  return judged(controls, {
    id: 'controls',
    claim:
      'Neurons, principal components, random directions and the shuffled model follow concepts less well.',
    paper: 'features score higher than neurons and the shuffled model with people',
    ours: `mean correlation of the best with concepts ${figureText(own ?? undefined)}; best control: ${bestControl ? `${bestControl.name} ${figureText(bestControl.correlation)}` : 'none'}`,
    value: own,
    interval: null,
    rule: 'a larger mean correlation than that of every control',
    holds: own === null || bestControl === null ? null : own > bestControl.correlation,
  });
}
