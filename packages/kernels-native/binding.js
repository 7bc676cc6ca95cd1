import { createRequire } from 'node:module';

/**
 * Load the compiled kernels. Throws when they were not built, or cannot run on this machine.
 */
export function loadBinding() {
  return createRequire(import.meta.url)('./monoseme-kernels.node');
}
