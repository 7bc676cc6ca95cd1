/** Tokens that carry most of the activation in a row of `details/`. */
export const TOP_TOKENS = 8;

/** Wilson's 95 % interval of a share, `hits` of n. */
export function wilsonInterval(hits: number, n: number): [number, number] {
  const z2 = 1.96 ** 2;
  const share = hits / n;
  const middle = share + z2 / (2 * n);
  const spread = 1.96 * Math.sqrt((share * (1 - share)) / n + z2 / (4 * n * n));
  return [Math.max(0, (middle - spread) / (1 + z2 / n)), (middle + spread) / (1 + z2 / n)];
}
