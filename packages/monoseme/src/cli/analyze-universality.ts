import {
  alignTokens,
  type CodedText,
  matchSimilarity,
  universality,
  universalityAnalysis,
  universalityBySegment,
} from '../analysis/index.ts';
import { MonosemeError } from '../errors.ts';
import { averageLogitJacobian } from '../model/index.ts';
import type { AnalyzeFlags, AnalyzeInput } from './analyze-input.ts';

export interface UniversalityFlags extends AnalyzeFlags {
  readonly effects?: boolean;
}

/** Matches between two dictionaries: token by token, or by pieces of text where their tokenizers differ. */
export function findUniversality({ effects }: UniversalityFlags) {
  return async (input: AnalyzeInput) => {
    const { cuts, pass, sameActivations } = input;
    const texts = input.texts as readonly [CodedText, CodedText];
    const differ = cuts[0].tokens !== cuts[1].tokens;
    if (differ && effects)
      throw new MonosemeError(
        'ERR_MISMATCH',
        'The tokenizers differ, so logit weights are over different vocabularies.',
        'Leave out --effects.',
      );
    const found = differ
      ? await universalityBySegment(texts, alignTokens(cuts[0], cuts[1]), pass)
      : await universality(...texts, pass);
    return universalityAnalysis({
      latents: found.latents,
      neurons: sameActivations ? undefined : found.neurons,
      unit: differ ? 'pieces of text' : 'tokens',
      similarity: effects ? await similarity(input, texts, found.latents) : undefined,
    });
  };
}

async function similarity(
  { tokens: { tokens, contextSize }, pass, runners }: AnalyzeInput,
  texts: readonly [CodedText, CodedText],
  latents: Parameters<typeof matchSimilarity>[3],
) {
  const { signal } = pass;
  const a = await averageLogitJacobian(runners[0], tokens, contextSize, { signal });
  const b =
    runners[1] === runners[0] ? a : await averageLogitJacobian(runners[1], tokens, contextSize, { signal });
  return matchSimilarity(texts, tokens, [a, b], latents, pass);
}
