import { CLEAR_LEAD } from '../analysis/index.ts';
import { MIN_BLOCKS } from '../evaluation/index.ts';
import { figureText, percentText } from '../report/index.ts';
import { type Claim, judged, shown } from './claim.ts';
import type { Findings, ProxyFinding } from './findings.ts';
import {
  attributionClaim,
  circleClaim,
  controlMotifClaim,
  controlsClaim,
  effectClaim,
  motifClaim,
  neuronClaim,
  persistenceClaim,
} from './further-claims.ts';

/** Every claim with what came out, in the order of the paper. */
export function claimsOf(findings: Findings): Claim[] {
  return [
    ...reconstructionClaims(findings),
    densityClaim(findings),
    ...proxyClaims(findings),
    effectClaim(findings),
    neuronClaim(findings),
    universalityClaim(findings),
    attributionClaim(findings),
    splittingClaim(findings),
    motifClaim(findings),
    automataClaim(findings),
    controlClaim(findings),
    controlMotifClaim(findings),
    controlsClaim(findings),
    persistenceClaim(findings),
    circleClaim(findings),
  ];
}

const percent = (value: number | undefined) => percentText(value);

function reconstructionClaims({ evaluations }: Findings): Claim[] {
  const [, middle] = evaluations;
  const { lossRecovered, l0 } = middle.figures;
  const scores = evaluations.map(({ figures }) => figures.lossRecovered.value);
  const known = scores.every((score) => score !== null);
  return [
    judged(middle, {
      id: 'loss-recovered',
      claim: 'The dictionary of eight times the neurons recovers most of what the MLP does for the loss.',
      paper: 'A/1: 79 %',
      ours: shown(lossRecovered, percent),
      ...lossRecovered,
      rule: 'at least 79 % recovered',
      holds: lossRecovered.value === null ? null : lossRecovered.value >= 0.79,
    }),
    judged(middle, {
      id: 'loss-recovered-by-size',
      claim: 'Larger dictionaries with the same penalty recover more.',
      paper: 'A/1: 79 %, A/5: 94.5 %',
      ours: evaluations
        .map(({ figures }) => `${figures.dSae} latents: ${shown(figures.lossRecovered, percent)}`)
        .join('; '),
      value: known ? scores[2]! - scores[0]! : null,
      interval: null,
      rule: 'each size recovers more than the one before',
      holds: known ? scores[0]! < scores[1]! && scores[1]! < scores[2]! : null,
    }),
    judged(middle, {
      id: 'sparsity',
      claim: 'Few latents are active on a token.',
      paper: 'sought below 10 or 20',
      ours: `${shown(l0, figureText)} of ${middle.figures.dSae}`,
      ...l0,
      rule: 'at most 20 latents a token',
      holds: l0.value === null ? null : l0.value <= 20,
    }),
  ];
}

function densityClaim({ density }: Findings): Claim {
  const { nTokens, nLive, nUltralow, nDead, separated, valley } = density.figures;
  return judged(density, {
    id: 'bimodal-density',
    claim: 'Latents fall into two clusters of density, and the ultralow one stands apart.',
    paper: 'A/1: 168 of 4,096 dead, 292 of ultralow density',
    ours:
      `${nLive} live, ${nUltralow} of ultralow density, ${nDead} dead on ${nTokens.toLocaleString('en')} tokens` +
      (valley === null ? '' : `; between the clusters ${percentText(valley)} of the lower peak`),
    value: nUltralow,
    interval: null,
    rule: 'two fitted clusters with a valley of at most half the lower peak, a factor of ten apart',
    holds: valley === null ? null : separated,
  });
}

/** The paper's case studies: Pearson correlation of feature and proxy. */
const CASE_STUDIES = [
  ['Arabic', 0.74],
  ['Hebrew', 0.55],
  ['base64', 0.38],
  ['DNA', 0.8],
] as const;

function proxyClaims({ proxies }: Findings): Claim[] {
  const found = proxies.figures;
  const clear = found.filter(isClear);
  const compared = found.filter(({ lead }) => lead.value !== null);
  const aboveControls = compared.filter(({ latent, control }) => latent.value! > (control ?? 0));
  return [
    ...CASE_STUDIES.map(([name, correlation]) => {
      const own = found.find(({ proxy }) => proxy === name)!;
      return judged(proxies, {
        id: `proxy-${name.toLowerCase()}`,
        claim: `A latent follows ${name} better than any neuron does.`,
        paper: `correlation ${correlation}`,
        ours: caseText(own),
        ...own.latent,
        rule: 'the 95 % interval of the lead over the best neuron lies above 0',
        holds: own.lead.interval === null ? null : own.lead.interval[0] > 0,
      });
    }),
    specificityClaim(proxies),
    judged(proxies, {
      id: 'more-interpretable-than-neurons',
      claim: 'For scripts and formats the best latent is clearly better than the best neuron.',
      paper:
        'all four case studies; features score higher than neurons with people and with a language model',
      ours: `${clear.length} of ${compared.length} concepts with a lead of ${CLEAR_LEAD} or more: ${clear.map(({ proxy }) => proxy).join(', ') || 'none'}`,
      value: clear.length,
      interval: null,
      rule: `at least five concepts with a lead of ${CLEAR_LEAD}`,
      holds: clear.length >= 5,
    }),
    judged(proxies, {
      id: 'better-than-controls',
      claim: 'Latents are better than other directions too.',
      paper: 'not measured; Cunningham et al. 2023 find so for PCA and random directions',
      ours: `better than the best principal component and random direction for ${aboveControls.length} of ${compared.length} concepts`,
      value: aboveControls.length,
      interval: null,
      rule: 'better for more than half of the concepts',
      holds: compared.length === 0 ? null : aboveControls.length > compared.length / 2,
    }),
  ];
}

function isClear({ lead }: ProxyFinding): boolean {
  return lead.value !== null && lead.value >= CLEAR_LEAD;
}

function caseText({ latent, neuron, lead, nTokens, index }: ProxyFinding): string {
  if (latent.value === null) return `on ${nTokens.toLocaleString('en')} tokens of this text: too few to say`;
  const note = lead.interval ? '' : `; no interval, which needs ${MIN_BLOCKS} documents`;
  return `latent ${index}: ${shown(latent, figureText)}; best neuron ${shown(neuron, figureText)}; lead ${shown(lead, figureText)}${note}`;
}

function specificityClaim(proxies: Findings['proxies']): Claim {
  const own = proxies.figures.find(({ proxy }) => proxy === 'Arabic')!;
  return judged(proxies, {
    id: 'specificity',
    claim: 'The Arabic latent fires on little else.',
    paper: '81 % of its firing tokens are Arabic, 0.13 % of all tokens',
    ours:
      own.specificity === null
        ? 'too little Arabic in this text'
        : `${percent(own.specificity)} of its firing tokens, ${percentText(own.share, 2)} of all`,
    value: own.specificity,
    interval: null,
    rule: 'more than half of its firing tokens',
    holds: own.specificity === null ? null : own.specificity > 0.5,
  });
}

/** By how much the median of latents has to exceed that of neurons. */
const UNIVERSALITY_LEAD = 0.15;

function universalityClaim({ universality }: Findings): Claim {
  const { latents, neurons, nMatched } = universality.figures;
  const lead = latents.value === null || neurons.value === null ? null : latents.value - neurons.value;
  return judged(universality, {
    id: 'universality',
    claim: 'Latents of A are found again in B, better than neurons are.',
    paper: 'median of the best correlations: 0.72; of neurons 0.46',
    ours: `${shown(latents, figureText)} over ${nMatched} latents; of neurons ${shown(neurons, figureText)}`,
    ...latents,
    rule: `the median of latents is larger by ${UNIVERSALITY_LEAD}`,
    holds: lead === null ? null : lead >= UNIVERSALITY_LEAD,
  });
}

function splittingClaim({ splitting, evaluations }: Findings): Claim {
  const [near, far] = splitting;
  const sizes = evaluations.map(({ figures }) => figures.dSae);
  const text = (step: Findings['splitting'][number], size: number) =>
    `into ${size}: ${step.figures.nSplit} of ${step.figures.nCompared} split (${shown(step.figures.share, percent)}), ${figureText(step.figures.meanChildren ?? undefined)} each`;
  const children = splitting.map(({ figures }) => figures.meanChildren);
  return judged(far, {
    id: 'splitting',
    claim: `Latents split into several as the dictionary grows.`,
    paper: 'examples: base64 into three from A/0 to A/1, "the" in mathematics into three from A/0 to A/2',
    ours: `of ${sizes[0]} latents ${text(near, sizes[1])}; ${text(far, sizes[2])}`,
    ...far.figures.share,
    rule: 'some split, and into more of the larger dictionary',
    holds: children.every((n) => n !== null) ? far.figures.nSplit > 0 && children[1]! > children[0]! : null,
  });
}

function automataClaim({ automata }: Findings): Claim {
  const { nSystems, nLoops } = automata.figures;
  return judged(automata, {
    id: 'automata',
    claim: 'Latents form finite-state automata.',
    paper: 'examples: base64 that leads to itself, a pair for capitals with underscores, four for HTML',
    ours: `${nSystems} systems of several latents, ${nLoops} latents that lead to themselves`,
    value: nSystems,
    interval: null,
    rule: 'at least one system of several latents and one that leads to itself',
    holds: nSystems > 0 && nLoops > 0,
  });
}

function controlClaim({ proxies, controlProxies }: Findings): Claim {
  const mean = (found: readonly ProxyFinding[]) => {
    const known = found.flatMap(({ latent }) => (latent.value === null ? [] : [latent.value]));
    return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0) / known.length;
  };
  const [own, control] = [mean(proxies.figures), mean(controlProxies.figures)];
  return judged(controlProxies, {
    id: 'control-proxies',
    claim: 'Latents of the model with shuffled weights follow concepts less well.',
    paper: 'its non-single-token features behave like neurons',
    ours: `mean correlation of the best latents ${figureText(control)}, of A's ${figureText(own)}`,
    value: control ?? null,
    interval: null,
    rule: 'a smaller mean correlation than that of A',
    holds: own === undefined || control === undefined ? null : control < own,
  });
}
