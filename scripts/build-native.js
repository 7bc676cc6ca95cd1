/**
 * Build the native kernels with cargo and put the binding where Node finds it. Skips when the binding is newer than
 * its sources. Without cargo or its registry it says so and leaves the TypeScript reference to do the work, unless
 * REQUIRE_NATIVE=1 makes that a failure.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const binding = join(root, 'packages/kernels-native/monoseme-kernels.node');
const sources = [
  'Cargo.toml',
  'Cargo.lock',
  'crates/kernels/Cargo.toml',
  'crates/kernels/src',
  'packages/kernels-native/Cargo.toml',
  'packages/kernels-native/build.rs',
  'packages/kernels-native/src',
];
const libraryNames = {
  darwin: 'libmonoseme_kernels_native.dylib',
  win32: 'monoseme_kernels_native.dll',
};

/** When a file, or the newest file in a folder, was last changed. */
function lastChange(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => lastChange(join(path, name))));
}

function isUpToDate() {
  if (!existsSync(binding)) return false;
  const built = statSync(binding).mtimeMs;
  return sources.every((source) => lastChange(join(root, source)) <= built);
}

function withoutNative(reason) {
  if (process.env.REQUIRE_NATIVE === '1') {
    console.error(`Native kernels were not built (${reason}), and REQUIRE_NATIVE=1 asks for them.`);
    process.exitCode = 1;
    return;
  }
  console.log(
    `Native kernels were not built (${reason}): Monoseme works on its TypeScript reference, only slower.`,
  );
}

function build() {
  const args = ['build', '--release', '--locked', '-p', 'monoseme-kernels-native'];
  const cargo = spawnSync('cargo', args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  if (cargo.error) return withoutNative('cargo is not installed');
  if (cargo.status !== 0) {
    if (
      /failed to (get|download|fetch|query)|no matching package|registry|network|resolve host/i.test(
        cargo.stderr,
      )
    ) {
      return withoutNative("cargo's registry cannot be reached");
    }
    process.stderr.write(cargo.stderr);
    return withoutNative('cargo could not compile them, see above');
  }
  const targetFolder = process.env.CARGO_TARGET_DIR ?? join(root, 'target');
  const library = libraryNames[process.platform] ?? 'libmonoseme_kernels_native.so';
  const partial = `${binding}.partial`;
  rmSync(partial, { force: true });
  copyFileSync(join(targetFolder, 'release', library), partial);
  // A process that has the old binding loaded keeps it: the name moves to a new file.
  renameSync(partial, binding);
  console.log('Native kernels built.');
}

if (isUpToDate()) console.log('Native kernels are up to date.');
else build();
