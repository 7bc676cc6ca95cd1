/**
 * Install the Python packages whose files are exchanged (into bench/peers/, unless they are there), and run the tests in
 * which they load what the toolkit writes. A package that cannot be installed is named, and its test is skipped.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installedPython } from '../bench/peer-environments.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const peers = Object.fromEntries(
  ['saelens', 'sparsify', 'dictionary_learning', 'tables'].map((name) => {
    try {
      return [name, { python: installedPython(name) }];
    } catch (error) {
      return [name, { why: `${name} is not installed: ${error.message}` }];
    }
  }),
);
const { status } = spawnSync(
  process.execPath,
  [
    '--test',
    ...['dictionary/peers.test.js', 'features/read-by-others.test.js'].map((path) =>
      join(root, 'packages/monoseme/dist', path),
    ),
  ],
  { stdio: 'inherit', env: { ...process.env, MONOSEME_PEERS: JSON.stringify(peers) } },
);
process.exitCode = status ?? 1;
