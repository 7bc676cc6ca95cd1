/** Scripts whose latents can be looked for, by their Unicode script property. */
export const SCRIPTS = [
  'Arabic',
  'Armenian',
  'Bengali',
  'Cyrillic',
  'Devanagari',
  'Georgian',
  'Greek',
  'Han',
  'Hangul',
  'Hebrew',
  'Hiragana',
  'Katakana',
  'Tamil',
  'Thai',
] as const;

const PATTERNS = new Map<string, RegExp>(
  SCRIPTS.map((script) => [script, new RegExp(`\\p{Script=${script}}`, 'u')]),
);

/** Whether a character belongs to a script (Unicode property Script). */
export function isOfScript(character: string, script: string): boolean {
  return PATTERNS.get(script)!.test(character);
}
