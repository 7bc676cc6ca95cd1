/**
 * Build everything a checkout needs: the native kernels (where cargo is), the toolkit, the page.
 * `npm ci` runs it; each step skips what is up to date.
 */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);

function node(script, ...args) {
  const { status } = spawnSync(process.execPath, [script, ...args], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

const packageFile = (name, path) => join(dirname(require.resolve(`${name}/package.json`)), path);

node('scripts/build-native.js');
node(packageFile('typescript', 'bin/tsc'), '-b');
node(packageFile('vite', 'bin/vite.js'), 'build', 'packages/explorer', '--logLevel', 'warn');
