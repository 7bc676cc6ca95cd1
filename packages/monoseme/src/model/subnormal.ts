/**
 * Have this thread, and those of the runtime that it starts, compute with 0 in place of numbers below 1.2e-38, where the native
 * binding is built. The softmax of a masked attention makes such numbers by the million, and on many processors each costs a
 * hundred times what another does (docs/decisions/0010-subnormal-numbers.md).
 */
export async function flushSubnormals(): Promise<void> {
  try {
    const { loadBinding } = await import('@monoseme/kernels-native');
    loadBinding().flushSubnormals();
  } catch {
    // Without the binding the results are the same, later.
  }
}
