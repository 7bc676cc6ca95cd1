import {
  effectsAnalysis,
  latentEffects,
  latentGroups,
  groupsAnalysis,
  motifs,
  motifsAnalysis,
  notNeurons,
  notNeuronsAnalysis,
  persistence,
  persistenceAnalysis,
} from '../analysis/index.ts';
import { averageLogitJacobian } from '../model/index.ts';
import {
  circleFindings,
  effectFindings,
  type Findings,
  motifFindings,
  neuronFindings,
  persistenceFindings,
  type Rung,
} from '../reproduce/index.ts';
import { type ToyOptions, ToySource, toySet, trainOnToy } from '../toy/index.ts';
import { resolveOptions } from '../training/index.ts';
import type { ReproduceWork } from './reproduce-work.ts';
import { shownToken } from './text.ts';

/** What the latents of one dictionary fire on. */
export function motifStep(work: ReproduceWork, rung: Rung): Promise<Findings['motifs']> {
  return work.step(`motifs-${rung.name}`, [rung], work.analysisSettings, async (pass) => {
    const { texts, text } = await work.coded([rung]);
    const { tokens, tokenizer } = text;
    const found = await motifs(texts[0], tokens, tokenizer.vocabSize, pass);
    const analysis = motifsAnalysis(found, (token) => shownToken(tokenizer, token));
    return {
      ...{ figures: motifFindings(found), sections: work.titled(rung.name, analysis), text },
      command: `monoseme analyze motifs ${work.folder(rung)} ${work.analysisArguments}`,
    };
  });
}

export function neuronStep(work: ReproduceWork, rung: Rung): Promise<Findings['neurons']> {
  return work.step(`neurons-${rung.name}`, [rung], work.analysisSettings, async (pass) => {
    const { texts, text } = await work.coded([rung]);
    const found = await notNeurons(texts[0], pass);
    return {
      ...{ figures: neuronFindings(found), text },
      sections: work.titled(rung.name, notNeuronsAnalysis(found, [])),
      command: `monoseme analyze neurons ${work.folder(rung)} ${work.analysisArguments}`,
    };
  });
}

export function persistenceStep(work: ReproduceWork, rung: Rung): Promise<Findings['persistence']> {
  return work.step(`persistence-${rung.name}`, [rung], work.analysisSettings, async (pass) => {
    const { texts, text } = await work.coded([rung]);
    const found = await persistence(texts[0], pass);
    return {
      ...{ figures: persistenceFindings(found), text },
      sections: work.titled(rung.name, persistenceAnalysis(found)),
      command: `monoseme analyze persistence ${work.folder(rung)} ${work.analysisArguments}`,
    };
  });
}

/** Latents whose effects are looked at, those that follow a concept best. */
const ABLATED = 12;

/** What happens without the latents that stand for concepts. */
export function effectStep(
  work: ReproduceWork,
  rung: Rung,
  { figures: proxies }: Findings['proxies'],
): Promise<Findings['effects']> {
  const best = proxies
    .filter(({ index }) => index !== null)
    .sort((a, b) => b.latent.value! - a.latent.value!)
    .map(({ index }) => index!);
  const latents = [...new Set(best)].slice(0, ABLATED);
  return work.step(`effects-${rung.name}`, [rung], { ...work.analysisSettings, latents }, async (pass) => {
    const { texts, text } = await work.coded([rung]);
    const { tokens, tokenizer } = text;
    const runner = await work.runner(rung.model);
    const { signal } = pass;
    const jacobian = await averageLogitJacobian(runner, tokens.tokens, tokens.contextSize, { signal });
    const found = await latentEffects(texts[0], tokens, runner, jacobian, latents, pass);
    const analysis = effectsAnalysis(found, [], (token) => shownToken(tokenizer, token));
    const named = latents.map((latent) => `--latent ${latent}`).join(' ');
    return {
      ...{ figures: effectFindings(found), sections: work.titled(rung.name, analysis), text },
      command: `monoseme analyze effects ${work.folder(rung)} ${named} --samples 0 ${work.analysisArguments}`,
    };
  });
}

/** Rows of the planted circle: 12 features in 48 dimensions, and on every second row a point of a circle. */
const CIRCLE: ToyOptions = {
  ...toySet('planted'),
  ...{ dIn: 48, nFeatures: 12, frequencies: { kind: 'equal', meanActive: 1 }, circle: 0.5 },
  ...{ nChunks: 200, chunkRows: 1024, seed: 3 },
};
const ON_CIRCLE = {
  ...{ l1Coefficient: 1.5, dSae: 24, tokens: 204_800, batchRows: 256, bufferRows: 1024 },
  ...{ learningRate: 0.003, seed: 1 },
};

/** A dictionary of data with a circle in it. */
export function circleStep(work: ReproduceWork): Promise<Findings['circle']> {
  return work.step('circle', [], { CIRCLE, ON_CIRCLE }, async ({ backend, signal }) => {
    const source = new ToySource(CIRCLE, backend);
    const [outcome] = await trainOnToy({ source, backend, runs: [resolveOptions(ON_CIRCLE)], signal });
    if ('error' in outcome) throw outcome.error;
    const found = await latentGroups({ dictionary: outcome.dictionary, source }, { backend, signal });
    return {
      figures: circleFindings(found),
      sections: work.titled(
        'a planted circle',
        groupsAnalysis(found, () => ''),
      ),
      ...{ text: undefined, command: `monoseme reproduce --out ${work.out}` },
    };
  });
}
