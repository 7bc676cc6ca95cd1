import { splitting, splittingAnalysis, universality, universalityAnalysis } from '../analysis/index.ts';
import { type Findings, type Rung, splittingFindings, universalityFindings } from '../reproduce/index.ts';
import type { ReproduceWork } from './reproduce-work.ts';

/** Latents of one model found again in another's, beside neurons. */
export function universalityStep(work: ReproduceWork, a: Rung, b: Rung): Promise<Findings['universality']> {
  return work.step('universality', [a, b], work.analysisSettings, async (pass) => {
    const { texts, text } = await work.coded([a, b]);
    const { latents, neurons } = await universality(texts[0], texts[1], pass);
    const found = universalityAnalysis({ latents, neurons, unit: 'tokens' });
    return {
      ...{ figures: universalityFindings(latents, neurons), text },
      sections: work.titled(`${a.name} and ${b.name}`, found),
      command: `monoseme analyze universality ${work.folder(a)} ${work.folder(b)} ${work.analysisArguments}`,
    };
  });
}

export function splittingStep(
  work: ReproduceWork,
  smaller: Rung,
  larger: Rung,
): Promise<Findings['splitting'][number]> {
  const name = `splitting-${smaller.dSae}-${larger.dSae}`;
  return work.step(
    name,
    [smaller, larger],
    { ...work.analysisSettings, intervals: 'wilson' },
    async (pass) => {
      const { texts, text } = await work.coded([smaller, larger]);
      const found = await splitting(texts[0], texts[1], pass);
      return {
        ...{ figures: splittingFindings(found), text },
        sections: work.titled(`${smaller.name} into ${larger.name}`, splittingAnalysis(found)),
        command: `monoseme analyze splitting ${work.folder(smaller)} ${work.folder(larger)} ${work.analysisArguments}`,
      };
    },
  );
}
