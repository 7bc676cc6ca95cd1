import type { Dictionary } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';

/** @throws {MonosemeError} ERR_OPTION for a transcoder or a crosscoder */
export function expectAutoencoder({ config }: Pick<Dictionary, 'config'>, advice?: string): void {
  const { targetHookName, sources } = config;
  if (targetHookName === undefined && !sources) return;
  throw new MonosemeError(
    'ERR_OPTION',
    `The dictionary is a ${sources ? 'crosscoder' : 'transcoder'}: it does not reconstruct the one tensor it reads.`,
    advice ??
      (sources ? 'Say which of its sources is measured.' : 'Autoencoders and crosscoders are evaluated.'),
  );
}

/**
 * @param part number of the source of a crosscoder that is measured
 * @throws {MonosemeError} ERR_OPTION for a transcoder, a crosscoder without `part`, or another dictionary with it;
 * ERR_MISMATCH for activations of another width
 */
export function expectReconstructs({ config }: Dictionary, width: number, what: string, part?: number): void {
  const { sources } = config;
  if (part === undefined) expectAutoencoder({ config });
  if (part !== undefined && !sources?.[part])
    throw new MonosemeError(
      'ERR_OPTION',
      `The dictionary has no source ${part}.`,
      `It has ${sources?.length ?? 0}.`,
    );
  const dIn = part === undefined ? config.dIn : sources![part].width;
  if (width !== dIn)
    throw new MonosemeError(
      'ERR_MISMATCH',
      `The dictionary reads ${dIn} inputs, but ${what} is ${width} wide.`,
      'Choose the hook that the dictionary was trained on.',
    );
}
