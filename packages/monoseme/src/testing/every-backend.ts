import { loadBinding } from '@monoseme/kernels-native';
import { type KernelBackend, selectBackend } from '../kernels/index.ts';
import { referenceBackend } from '../kernels/reference/index.ts';
import { Random } from '../random/index.ts';
import { randomShape, type Shape, SHAPES } from './kernel-cases.ts';

/** A backend under test, on one instruction set where it is native. */
interface BackendCase {
  readonly name: string;
  readonly instructionSet?: string;
  /** Says why it is skipped. */
  readonly options: { readonly skip: string | false };
  open(): Promise<KernelBackend>;
}

const available = availableSets();

function availableSets(): string[] | string {
  try {
    return loadBinding().instructionSets();
  } catch (error) {
    if (process.env.REQUIRE_NATIVE === '1') throw error;
    return 'the native kernels are not built';
  }
}

export function skipReason(instructionSet: string): string | false {
  if (typeof available === 'string') return available;
  return available.includes(instructionSet) ? false : `this CPU has no ${instructionSet}`;
}

/** The reference, and the native backend on every instruction set. */
export const EVERY_BACKEND: readonly BackendCase[] = [
  { name: 'reference', options: { skip: false }, open: async () => referenceBackend },
  ...['avx512+amx', 'avx512', 'avx2', 'neon', 'portable'].map((instructionSet) => ({
    name: `native ${instructionSet}`,
    instructionSet,
    options: { skip: skipReason(instructionSet) },
    open: () => selectBackend({ name: 'native', threads: 2, instructionSet }),
  })),
];

const RANDOM_SHAPES = Number(process.env.KERNEL_SHAPES ?? 100);

/** The shape corpus, then random shapes. */
export function* shapes(random: Random): Generator<Shape> {
  yield* SHAPES;
  for (let i = 0; i < RANDOM_SHAPES; i++) yield randomShape(random);
}
