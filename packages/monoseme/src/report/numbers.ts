/** What stands for a figure that is not defined. */
export const UNDEFINED = '–';

/** Four significant digits, also where the last are 0; whole numbers whole; `–` for a figure that is not defined. */
export function figureText(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return UNDEFINED;
  const digits = value.toPrecision(4);
  const size = Math.abs(Number(digits));
  if (Number.isInteger(value) || size >= 1e4) return String(Number(digits));
  return size < 1e-4 ? value.toExponential(3) : digits;
}

/** `0.12 to 0.15`; `–` where there is none. */
export function intervalText(interval: readonly [number, number] | undefined): string {
  return interval ? interval.map(figureText).join(' to ') : UNDEFINED;
}

/** `0.0123` → `1.23 %`; what rounds to 0 has no sign; `–` for a figure that is not defined. */
export function percentText(share: number | undefined, digits = 1): string {
  if (share === undefined || !Number.isFinite(share)) return UNDEFINED;
  return `${(100 * share).toFixed(digits).replace(/^-(?=[0.]+$)/, '')} %`;
}
