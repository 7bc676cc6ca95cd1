import {
  matchSimilarity,
  splitting,
  splittingAnalysis,
  universality,
  universalityAnalysis,
} from '../analysis/index.ts';
import { averageLogitJacobian } from '../model/index.ts';
import { type Findings, type Rung, splittingFindings, universalityFindings } from '../reproduce/index.ts';
import type { ReproduceWork } from './reproduce-work.ts';

/** Latents of one model found again in another's, beside neurons. */
export function universalityStep(work: ReproduceWork, a: Rung, b: Rung): Promise<Findings['universality']> {
  return work.step('universality', [a, b], work.analysisSettings, async (pass) => {
    const { texts, text } = await work.coded([a, b]);
    const { latents, neurons } = await universality(texts[0], texts[1], pass);
    const { tokens, contextSize } = text.tokens;
    const jacobian = async ({ model }: Rung) =>
      averageLogitJacobian(await work.runner(model), tokens, contextSize, { signal: pass.signal });
    const jacobians = [await jacobian(a), await jacobian(b)] as const;
    const pair = [texts[0], texts[1]] as const;
    const similarity = await matchSimilarity(pair, tokens, jacobians, latents, pass);
    const found = universalityAnalysis({ latents, neurons, unit: 'tokens', similarity });
    return {
      ...{ figures: universalityFindings(latents, neurons, similarity), text },
      sections: work.titled(`${a.name} and ${b.name}`, found),
      command: `monoseme analyze universality ${work.folder(a)} ${work.folder(b)} --effects ${work.analysisArguments}`,
    };
  });
}

export function splittingStep(
  work: ReproduceWork,
  smaller: Rung,
  larger: Rung,
): Promise<Findings['splitting'][number]> {
  const name = `splitting-${smaller.dSae}-${larger.dSae}`;
  return work.step(name, [smaller, larger], work.analysisSettings, async (pass) => {
    const { texts, text } = await work.coded([smaller, larger]);
    const found = await splitting(texts[0], texts[1], pass);
    return {
      ...{ figures: splittingFindings(found), text },
      sections: work.titled(`${smaller.name} into ${larger.name}`, splittingAnalysis(found)),
      command: `monoseme analyze splitting ${work.folder(smaller)} ${work.folder(larger)} ${work.analysisArguments}`,
    };
  });
}
