import assert from 'node:assert/strict';
import { test } from 'node:test';
import { targetLine } from './train.ts';

test('a target L0 that was missed by more than a tenth is said, with what would bring it nearer', () => {
  const line = (architecture: string, targetL0: number | undefined, l0: number) =>
    targetLine({ architecture, targetL0 }, l0);
  assert.equal(
    line('standard', 20, 25.04),
    'target     L0 is 25.0, not 20: give more tokens or a larger --l1-coefficient\n',
  );
  assert.match(line('gated', 20, 12), /a smaller --l1-coefficient\n$/);
  assert.match(line('jumprelu', 20, 40), /a larger --l0-coefficient\n$/);
  for (const l0 of [18.1, 20, 21.9]) assert.equal(line('standard', 20, l0), '');
  assert.equal(line('standard', undefined, 99), '');
});
