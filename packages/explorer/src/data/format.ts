const whole = new Intl.NumberFormat('en');

export function count(value: number): string {
  return whole.format(value);
}

/** 12,345,678 → 12.3 M; for headlines. */
export function roughCount(value: number): string {
  if (value < 10_000) return whole.format(value);
  const rounded = Number(value.toPrecision(3));
  const [size, unit] = rounded < 1e6 ? [1e3, 'k'] : rounded < 1e9 ? [1e6, 'M'] : [1e9, 'B'];
  return `${rounded / size} ${unit}`;
}

/** Three significant digits, without an exponent where that stays readable. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(1).replace('e', ' e').replace('-', '−');
  const digits = Math.max(0, 2 - Math.floor(Math.log10(size)));
  return value.toFixed(Math.min(digits, 4)).replace('-', '−');
}

export function signed(value: number): string {
  return (value > 0 ? '+' : '') + figure(value);
}

const round = new Intl.NumberFormat('en', { maximumSignificantDigits: 4 });

/** What stands at a tick of an axis: a round number has no zeros after the point. */
export function tickText(value: number): string {
  return round.format(value).replace('-', '−');
}

export function percent(share: number): string {
  if (share === 0) return '0 %';
  const value = Math.abs(share) * 100;
  if (value < 0.001) return '< 0.001 %';
  const digits = value >= 99.95 ? 0 : value >= 10 ? 1 : value >= 0.1 ? 2 : 3;
  return `${share < 0 ? '−' : ''}${value.toFixed(digits)} %`;
}

/** 0.0032 → 1 in 313 */
export function oneIn(share: number): string {
  return share > 0 ? `1 in ${roughCount(Math.round(1 / share))}` : 'never';
}
