import type { Dictionary } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';

/** @throws {MonosemeError} ERR_OPTION for a transcoder or crosscoder, ERR_MISMATCH for activations of another width */
export function expectReconstructs({ config }: Dictionary, width: number, what: string): void {
  const { dIn, targetHookName, sources } = config;
  if (targetHookName !== undefined || sources)
    throw new MonosemeError(
      'ERR_OPTION',
      `The dictionary is a ${sources ? 'crosscoder' : 'transcoder'}: it does not reconstruct the one tensor it reads.`,
      'Autoencoders of one hook point are evaluated.',
    );
  if (width !== dIn)
    throw new MonosemeError(
      'ERR_MISMATCH',
      `The dictionary reads ${dIn} inputs, but ${what} is ${width} wide.`,
      'Choose the hook that the dictionary was trained on.',
    );
}
