import { effectsAnalysis, latentEffects, type LatentEffects, type PinnedSample } from '../analysis/index.ts';
import { MonosemeError } from '../errors.ts';
import { steer } from '../interventions/index.ts';
import { averageLogitJacobian, HookedModel } from '../model/index.ts';
import type { AnalyzeFlags, AnalyzeInput } from './analyze-input.ts';
import { latentNumber } from './options.ts';
import { shownToken } from './text.ts';

export interface EffectFlags extends AnalyzeFlags {
  readonly latent?: string[];
  readonly prompt: string;
  readonly samples: number;
}

/** Tokens of a sample. */
const SAMPLE_TOKENS = 32;

/** Ablation effects, logit weights and pinned samples of the latents asked for. */
export function findEffects(flags: EffectFlags) {
  const { latent: asked = [] } = flags;
  if (asked.length === 0)
    throw new MonosemeError('ERR_USAGE', 'No latent was named.', 'Name some with --latent N.');
  return async (input: AnalyzeInput) => {
    const { texts, tokens, tokenizer, pass, runners } = input;
    const [text] = texts;
    const { dSae } = text.dictionary.config;
    const latents = asked.map((number) => latentNumber(number, dSae));
    const { signal } = pass;
    const { contextSize } = tokens;
    const jacobian = await averageLogitJacobian(runners[0], tokens.tokens, contextSize, { signal });
    const effects = await latentEffects(text, tokens, runners[0], jacobian, latents, pass);
    const samples = await pinnedSamples(input, flags, effects);
    return effectsAnalysis(effects, samples, (token) => shownToken(tokenizer, token));
  };
}

/** Continuations with each latent held at its largest activation at every token (Bricken et al. 2023). */
async function pinnedSamples(
  { texts: [{ dictionary }], tokenizer, pass, runners: [runner] }: AnalyzeInput,
  { prompt, samples, seed, threads }: EffectFlags,
  effects: readonly LatentEffects[],
): Promise<PinnedSample[]> {
  if (samples === 0) return [];
  const { separatorId } = tokenizer;
  const ids = tokenizer.encode(prompt);
  const hooked = new HookedModel(runner.model, { threads });
  try {
    const found: PinnedSample[] = [];
    for (const { latent, largest } of effects.filter((effect) => effect.largest > 0)) {
      const continuations = [];
      for (let i = 0; i < samples; i++)
        continuations.push(
          await steer({
            ...{ hooked, dictionary, backend: pass.backend, hookName: runner.hookName, signal: pass.signal },
            prompt: separatorId === undefined ? ids : Uint32Array.of(separatorId, ...ids),
            versions: [[{ latent, op: 'clamp', value: largest }]],
            ...{ nTokens: SAMPLE_TOKENS, temperature: 1, seed: seed + i },
          }),
        );
      found.push({
        ...{ latent, prompt },
        pinned: continuations.map(({ steered }) => tokenizer.decode(steered[0].tokens)),
        original: continuations.map(({ original }) => tokenizer.decode(original.tokens)),
      });
    }
    return found;
  } finally {
    await hooked.close();
  }
}
