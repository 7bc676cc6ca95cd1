import { MonosemeError } from '../errors.ts';
import { april2024 } from './april-2024.ts';
import type { Architecture } from './architecture.ts';
import { batchTopK } from './batch-top-k.ts';
import { gated } from './gated.ts';
import { jumpRelu } from './jump-relu.ts';
import { matryoshka } from './matryoshka.ts';
import { pAnnealing } from './p-annealing.ts';
import { standard } from './standard.ts';
import { topK } from './top-k.ts';

/** Every architecture that can be trained. */
export const ARCHITECTURES: readonly Architecture[] = [
  standard,
  april2024,
  topK,
  batchTopK,
  matryoshka,
  jumpRelu,
  gated,
  pAnnealing,
];

/** @throws {MonosemeError} ERR_OPTION naming those there are */
export function architectureNamed(name: string): Architecture {
  const found = ARCHITECTURES.find((architecture) => architecture.name === name);
  if (found) return found;
  throw new MonosemeError(
    'ERR_OPTION',
    `There is no architecture ${name}.`,
    `Choose from: ${ARCHITECTURES.map((architecture) => architecture.name).join(', ')}.`,
  );
}
