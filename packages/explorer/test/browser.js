/**
 * A real Chromium: the system's, else the one inside an npm package.
 */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const UNPACKED = fileURLToPath(new URL('../../../node_modules/.cache/chromium/', import.meta.url));

const SYSTEM = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
];

/** A test page asks no other host for anything; without these the browser itself does. */
const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Flags of the package for cloud functions: in one process the whole browser ends with its first page. */
const ONE_PROCESS = ['--single-process', '--no-zygote'];

async function candidates() {
  const found = SYSTEM.filter((path) => existsSync(path)).map((executablePath) => ({
    executablePath,
    args: QUIET,
  }));
  const bundled = await import('@sparticuz/chromium').then(
    async ({ default: packaged }) => ({
      executablePath: await unpacked(packaged),
      args: [...packaged.args.filter((flag) => !ONE_PROCESS.includes(flag)), ...QUIET],
    }),
    () => undefined,
  );
  return bundled ? [...found, bundled] : found;
}

/**
 * The package unpacks into the folder for temporary files, where another process starts what is half written. Here it is
 * unpacked into a folder of its own, which gets its name once it is whole; the first of several processes gives it.
 */
async function unpacked(packaged) {
  const executable = join(UNPACKED, 'chromium');
  if (existsSync(executable)) return executable;
  mkdirSync(dirname(UNPACKED), { recursive: true });
  const { TMPDIR } = process.env;
  const folder = mkdtempSync(join(dirname(UNPACKED), 'chromium-'));
  process.env.TMPDIR = folder;
  try {
    await packaged.executablePath();
    renameSync(folder, UNPACKED);
  } catch (error) {
    if (!existsSync(executable)) throw error;
  } finally {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    rmSync(folder, { recursive: true, force: true });
  }
  return executable;
}

/** @returns {Promise<{ browser?: import('playwright-core').Browser, reason?: string }>} */
export async function launchBrowser() {
  const reasons = [];
  for (const { executablePath, args } of await candidates()) {
    try {
      return { browser: await chromium.launch({ executablePath, args }) };
    } catch (error) {
      reasons.push(`${executablePath}: ${String(error.message).split('\n')[0]}`);
    }
  }
  return { reason: reasons.join('; ') || 'there is no Chromium on this machine and none in node_modules' };
}

export function temporaryFolder() {
  const path = mkdtempSync(join(tmpdir(), 'monoseme-page-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
