/**
 * Build what changed, then run every test: TypeScript and browser tests under node's runner, Rust tests under cargo.
 * Arguments are parts of file names: `npm test -- safetensors` runs the tests whose path holds that word.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const words = process.argv.slice(2);

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (error) console.error(`${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

function testFiles(folder) {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.js'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

run(process.execPath, ['scripts/build.js']);
const files = ['packages/monoseme/dist', 'packages/explorer/test', 'scripts'].flatMap(testFiles).sort();
const chosen = files.filter((file) => words.every((word) => file.includes(word)));
if (chosen.length === 0) {
  console.error(`No test file holds ${words.join(' and ')} in its path.`);
  process.exit(1);
}
// A test that hangs is a failure, not a run without end; the longest one learns for some minutes.
// This reporter names what failed once more at the end, where a log that is cut still has it.
run(process.execPath, [
  '--test',
  '--test-reporter=spec',
  '--test-concurrency=2',
  '--test-timeout=1200000',
  ...chosen,
]);

// Where the binding could not be built, cargo or its registry is missing, and the build has said so.
const hasNative = existsSync(join(root, 'packages/kernels-native/monoseme-kernels.node'));
if (hasNative && words.length === 0) run('cargo', ['test', '--quiet', '--release']);
if (!hasNative) console.log('The native kernels were not built: the Rust tests were not run.');
