/** Check the result object of `monoseme demo --json`: its keys, their types and ranges, and that its folders exist. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const result = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const share = (value) => value >= 0 && value <= 1;
const checks = {
  tokens: (value) => Number.isInteger(value) && value > 0,
  d_sae: (value) => Number.isInteger(value) && value > 0,
  l0: (value) => value > 0 && value < result.d_sae,
  explained_variance: share,
  ce_loss_score: (value) => value > 0 && value <= 1.01,
  frac_dead: share,
  seconds: (value) => value > 0,
  peak_memory_bytes: (value) => value > 2 ** 20,
  backend: (value) =>
    typeof value === 'string' && (!process.env.REQUIRE_NATIVE || value.startsWith('native')),
  dictionary: (value) => existsSync(join(value, 'sae_weights.safetensors')),
  index: (value) => existsSync(join(value, 'manifest.json')),
};
for (const [key, isGood] of Object.entries(checks)) {
  assert.ok(isGood(result[key]), `${key} is ${JSON.stringify(result[key])}`);
}
console.log(`demo: ${JSON.stringify(result)}`);
