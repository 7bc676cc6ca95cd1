/**
 * Python environments of the peers, made on demand in bench/peers/: one with torch, and one a peer on top of it, so
 * that torch is installed once and the peers' dependencies do not meet each other.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { cleanEnvironment } from './runner-process.js';

const here = import.meta.dirname;
export const PEERS_FOLDER = join(here, 'peers');
const isWindows = process.platform === 'win32';

/** Python of a new environment must be one for which torch has wheels. */
const SYSTEM_PYTHON = isWindows ? 'python' : 'python3';

/**
 * The interpreter with torch.
 *
 * @param python one that has torch, numpy and safetensors already, to use instead of installing them
 */
export function torchPython(python, { canInstall }) {
  if (python !== undefined) {
    command(python, ['-c', 'import torch, numpy, safetensors']);
    return python;
  }
  return environment('torch', SYSTEM_PYTHON, canInstall, plainEnvironment);
}

const plainEnvironment = (folder) => command(SYSTEM_PYTHON, ['-m', 'venv', '--clear', folder]);

/** Run a script with the interpreter of an environment that needs no torch. @returns stdout */
export function runPeerScript(name, args, { canInstall }) {
  return command(environment(name, SYSTEM_PYTHON, canInstall, plainEnvironment), args);
}

/** The interpreter of an environment that is there, else of one that is installed now. */
export function installedPython(name) {
  const python = pythonIn(join(PEERS_FOLDER, name));
  if (existsSync(python)) return python;
  // What reads tables needs no torch.
  if (name === 'tables') return environment(name, SYSTEM_PYTHON, true, plainEnvironment);
  const base = torchPython(undefined, { canInstall: true });
  return name === 'torch' ? base : peerPython(name, base, { canInstall: true });
}

/** The interpreter of a peer, which also sees the packages of `base`. */
export function peerPython(name, base, { canInstall }) {
  return environment(name, base, canInstall, (folder) => {
    command(base, ['-m', 'venv', '--clear', folder]);
    const purelib = ['-c', 'import sysconfig; print(sysconfig.get_path("purelib"))'];
    const packages = command(base, purelib).trim();
    const own = command(pythonIn(folder), purelib).trim();
    writeFileSync(join(own, 'torch-environment.pth'), `${packages}\n`);
  });
}

/**
 * Environment variables with which torch's matrix product is fastest on this machine (see mkl-fast-path.c).
 *
 * @returns none where nothing is to be gained, or where there is no C compiler
 */
export function fastestBlas(log) {
  const isOtherX64 =
    process.platform === 'linux' && process.arch === 'x64' && !/intel/i.test(cpus()[0]?.model);
  if (!isOtherX64) return {};
  const library = join(PEERS_FOLDER, 'mkl-fast-path.so');
  const source = join(here, 'peer-runners', 'mkl-fast-path.c');
  try {
    mkdirSync(PEERS_FOLDER, { recursive: true });
    if (!existsSync(library)) command('cc', ['-shared', '-fPIC', '-O1', '-o', library, source]);
    log(
      "torch runs with MKL's fastest code, which it does not choose on this processor (--stock-mkl: as it comes)",
    );
    return { LD_PRELOAD: library };
  } catch (error) {
    log(`torch runs as it comes, without MKL's fastest code: ${error.message}`);
    return {};
  }
}

/** Make an environment and install its requirements, unless that was finished before with the same ones and base. */
function environment(name, base, canInstall, make) {
  const folder = join(PEERS_FOLDER, name);
  const requirements = join(here, 'peer-runners', `requirements-${name}.txt`);
  const finished = join(folder, 'installed-requirements.txt');
  const packages = readFileSync(requirements, 'utf8').trim();
  const wanted = `${packages}\n# on ${base}\n`;
  if (existsSync(finished) && readFileSync(finished, 'utf8') === wanted) return pythonIn(folder);
  if (!canInstall) throw new Error('it is not installed yet.');
  process.stderr.write(`Installing ${packages.replaceAll('\n', ', ')} into ${folder} …\n`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(PEERS_FOLDER, { recursive: true });
  make(folder);
  const install = (args) => command(pythonIn(folder), ['-m', 'pip', 'install', '--quiet', ...args]);
  install(['--requirement', requirements]);
  // A package of which only the data are wanted: what it needs to run would be built for minutes.
  const alone = [...packages.matchAll(/^# alone: (\S+)$/gm)].map(([, name]) => name);
  if (alone.length > 0) install(['--no-deps', ...alone]);
  writeFileSync(finished, wanted);
  return pythonIn(folder);
}

function pythonIn(folder) {
  return isWindows ? join(folder, 'Scripts', 'python.exe') : join(folder, 'bin', 'python');
}

/** Run to the end. @throws {Error} with the last line of stderr. @returns stdout */
function command(file, args) {
  const result = spawnSync(file, args, { encoding: 'utf8', env: cleanEnvironment() });
  if (result.status === 0) return result.stdout;
  const lines = (result.stderr ?? '').trim().split('\n');
  const why = result.error?.message ?? lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1);
  throw new Error(`${[file, ...args].join(' ').slice(0, 120)}: ${why}`);
}
