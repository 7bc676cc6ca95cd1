import { MonosemeError } from '../errors.ts';
import { nearestNames } from '../nearest-names.ts';
import { april2024 } from './april-2024.ts';
import type { Architecture } from './architecture.ts';
import { batchTopK } from './batch-top-k.ts';
import { batchTopKCrosscoder } from './batch-top-k-crosscoder.ts';
import { crosscoder } from './crosscoder.ts';
import { gated } from './gated.ts';
import { january2025 } from './january-2025.ts';
import { jumpRelu } from './jump-relu.ts';
import { matryoshka } from './matryoshka.ts';
import { matryoshkaRandom } from './matryoshka-random.ts';
import { multiTopK } from './multi-top-k.ts';
import { pAnnealing } from './p-annealing.ts';
import { skipTranscoder } from './skip-transcoder.ts';
import { standard } from './standard.ts';
import { topK } from './top-k.ts';
import { transcoder } from './transcoder.ts';

/** Every architecture that can be trained. */
export const ARCHITECTURES: readonly Architecture[] = [
  standard,
  april2024,
  topK,
  multiTopK,
  batchTopK,
  matryoshka,
  matryoshkaRandom,
  jumpRelu,
  january2025,
  gated,
  pAnnealing,
  transcoder,
  skipTranscoder,
  crosscoder,
  batchTopKCrosscoder,
];

/** @throws {MonosemeError} ERR_OPTION naming the nearest and those there are */
export function architectureNamed(name: string): Architecture {
  const found = ARCHITECTURES.find((architecture) => architecture.name === name);
  if (found) return found;
  const names = ARCHITECTURES.map((architecture) => architecture.name);
  throw new MonosemeError(
    'ERR_OPTION',
    `There is no architecture ${name}; the nearest is ${nearestNames(name, names)[0]}.`,
    `Choose from: ${names.join(', ')}.`,
  );
}
