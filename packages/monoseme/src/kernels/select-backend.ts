import { availableParallelism } from 'node:os';
import { MonosemeError } from '../errors.ts';
import { expectPositiveInteger } from '../tensor/index.ts';
import type { KernelBackend } from './contract.ts';
import { nativeBackend, nativeError } from './native-backend.ts';
import { referenceBackend } from './reference/index.ts';

export interface BackendOptions {
  /** Without a name: native where its binding loads, else the reference. */
  readonly name?: 'native' | 'reference';
  /** Threads of the native backend; all cores by default. The reference has one. */
  readonly threads?: number;
  /** Of the native backend: `avx512+amx`, `avx512`, `avx2`, `neon` or `portable`; the fastest of this CPU by default. */
  readonly instructionSet?: string;
}

/** More threads than any machine has cores are a mistake, and each costs a stack. */
const MAX_THREADS = 1024;

async function openNative(options: BackendOptions): Promise<KernelBackend> {
  const threads = options.threads ?? availableParallelism();
  expectPositiveInteger('threads', threads);
  if (threads > MAX_THREADS) {
    throw new MonosemeError('ERR_OPTION', `threads is ${threads}.`, `It takes at most ${MAX_THREADS}.`);
  }
  const { loadBinding } = await import('@monoseme/kernels-native');
  const binding = loadBinding();
  try {
    return nativeBackend(new binding.Kernels(threads, options.instructionSet), threads, binding);
  } catch (error) {
    throw nativeError(error);
  }
}

/**
 * The backend on which everything runs. Say its `description` to the user and write it into manifests: which one ran
 * is never silent.
 *
 * @throws {MonosemeError} ERR_BACKEND when the one that was named cannot be used.
 */
export async function selectBackend(options: BackendOptions = {}): Promise<KernelBackend> {
  if (options.name === 'reference') return referenceBackend;
  try {
    return await openNative(options);
  } catch (error) {
    if (error instanceof MonosemeError) throw error;
    if (options.name === undefined && options.instructionSet === undefined) return referenceBackend;
    throw new MonosemeError(
      'ERR_BACKEND',
      'The native kernels cannot be loaded: they were not built, or not for this machine.',
      'Run `npm run build` with cargo installed, or choose the reference backend.',
      { cause: error },
    );
  }
}
