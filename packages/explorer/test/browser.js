/**
 * A real Chromium: the system's, else the one inside an npm package.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

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
      executablePath: await packaged.executablePath(),
      args: [...packaged.args.filter((flag) => !ONE_PROCESS.includes(flag)), ...QUIET],
    }),
    () => undefined,
  );
  return bundled ? [...found, bundled] : found;
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
