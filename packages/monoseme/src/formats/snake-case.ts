/** `explainedVariance` → `explained_variance`, `l2Ratio` → `l2_ratio`, `fracAbove1Percent` → `frac_above_1_percent`. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]|(?<=[a-z]{2})\d+/g, (part) => `_${part.toLowerCase()}`);
}

/** `explained_variance` → `explainedVariance`: what {@link snakeCase} made of a name. */
export function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** The same object with its own keys in the case used on disk. Nested objects are left as they are. */
export function snakeCaseKeys<T>(object: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [snakeCase(key), value]));
}

/** The same object with the keys that it had before {@link snakeCaseKeys}. */
export function camelCaseKeys<T>(object: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [camelCase(key), value]));
}
