import {
  automata,
  automataAnalysis,
  controlsAnalysis,
  DEFAULT_PROXIES,
  principalComponents,
  proxyAnalysis,
  randomDirections,
  searchProxies,
  sideBySide,
  topTokens,
  withControls,
} from '../analysis/index.ts';
import { loadDictionary } from '../dictionary/index.ts';
import { densitySection, evaluateDictionary } from '../evaluation/index.ts';
import {
  type AutomataFindings,
  controlFindings,
  densityFindings,
  evaluationFindings,
  type Findings,
  proxyFindings,
  type Rung,
} from '../reproduce/index.ts';
import type { ReproduceWork } from './reproduce-work.ts';
import { shownToken } from './text.ts';

/** The figures of a dictionary on held-out text. */
export function evaluationStep(work: ReproduceWork, rung: Rung): Promise<Findings['evaluations'][number]> {
  const { evaluationTokens } = work.ladder;
  return work.step(`evaluate-${rung.name}`, [rung], { evaluationTokens }, async ({ backend, ...pass }) => {
    const text = await work.text(evaluationTokens, 'heldOut');
    const report = await evaluateDictionary({
      ...{ dictionary: await loadDictionary(work.folder(rung)), backend, tokens: text.tokens },
      ...{ runner: await work.runner(rung.model), ...pass },
    });
    return {
      ...{ figures: evaluationFindings(report), sections: [], text },
      command: `monoseme evaluate ${work.folder(rung)} --tokens ${evaluationTokens}`,
    };
  });
}

/** Densities over as much text as there is: a latent that fires once in a million tokens has to be seen. */
export function densityStep(work: ReproduceWork, rung: Rung): Promise<Findings['density']> {
  const { densityTokens } = work.ladder;
  const downstreamTokens = 4096;
  return work.step(`density-${rung.name}`, [rung], { densityTokens }, async ({ backend, ...pass }) => {
    const text = await work.text(densityTokens, 'all');
    const report = await evaluateDictionary({
      ...{
        dictionary: await loadDictionary(work.folder(rung)),
        backend,
        tokens: text.tokens,
        downstreamTokens,
      },
      ...{ runner: await work.runner(rung.model), ...pass },
    });
    return {
      ...{ figures: densityFindings(report), sections: [densitySection(report)], text },
      command: `monoseme evaluate ${work.folder(rung)} --split all --tokens ${densityTokens} --downstream-tokens ${downstreamTokens}`,
    };
  });
}

/** @param beside whether principal components and random directions are searched too */
export function proxyStep(work: ReproduceWork, rung: Rung, beside: boolean): Promise<Findings['proxies']> {
  return work.step(`proxies-${rung.name}`, [rung], work.analysisSettings, async (pass) => {
    const { texts, text } = await work.coded([rung]);
    const { dIn, dSae } = texts[0].dictionary.config;
    const principal = () => principalComponents(texts[0].source, { signal: pass.signal });
    const controls = beside ? [await principal(), randomDirections(dIn, dSae, 0)] : [];
    const { tokens, tokenizer } = text;
    const search = await searchProxies(texts[0], tokens, tokenizer, DEFAULT_PROXIES, pass, { controls });
    return {
      ...{ figures: proxyFindings(search), sections: work.titled(rung.name, proxyAnalysis(search)), text },
      command: `monoseme analyze proxies ${work.folder(rung)}${beside ? ' --controls' : ''} ${work.analysisArguments}`,
    };
  });
}

/** A dictionary beside neurons, principal components, random directions and the shuffled model's dictionary. */
export function controlStep(work: ReproduceWork, rung: Rung, shuffled: Rung): Promise<Findings['controls']> {
  const { controlTokens } = work.ladder;
  return work.step('controls', [rung, shuffled], { controlTokens }, async (pass) => {
    const { texts, text } = await work.coded([rung, shuffled], controlTokens);
    const all = await withControls(texts[0], texts[1], pass.signal);
    const sides = await sideBySide(all, text.tokens, text.tokenizer, DEFAULT_PROXIES, pass);
    return {
      ...{ figures: controlFindings(sides), sections: work.titled(rung.name, controlsAnalysis(sides)), text },
      command: `monoseme analyze controls ${work.folder(rung)} --shuffled ${work.folder(shuffled)} --tokens ${controlTokens}`,
    };
  });
}

export function automataStep(work: ReproduceWork, rung: Rung): Promise<Findings['automata']> {
  return work.step(`automata-${rung.name}`, [rung], work.analysisSettings, async (pass) => {
    const { texts, text } = await work.coded([rung]);
    const found = await automata(texts[0], pass);
    const latents = new Set(found.systems.flatMap((system) => system.latents));
    const tops = await topTokens(texts[0], text.tokens, latents, pass);
    const label = (latent: number) => shownToken(text.tokenizer, tops.get(latent) ?? 0);
    const figures: AutomataFindings = {
      nSystems: found.systems.filter((system) => system.latents.length > 1).length,
      nLoops: found.systems.filter((system) => system.latents.length === 1).length,
    };
    return {
      ...{ figures, sections: work.titled(rung.name, automataAnalysis(found, label)), text },
      command: `monoseme analyze automata ${work.folder(rung)} ${work.analysisArguments}`,
    };
  });
}
