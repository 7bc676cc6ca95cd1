import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import { fileError, MonosemeError } from '../errors.ts';

const LOCK_NAME = /^process-\d+-[0-9a-f]{8}\.lock$/;

interface Owner {
  readonly pid: number;
  readonly host: string;
  /** When the process started, where it is known: a number that is given again is then told apart. */
  readonly started?: string;
}

/** Whether a file of a folder is a lock of {@link lockFolder}, and no content. */
export const isLock = (name: string): boolean => LOCK_NAME.test(name);

/**
 * Let one process at a time write a folder, which is made where it is missing.
 *
 * A process first announces itself by a file of its own, then looks for others: so of two at the same instant at
 * most one goes on (it may be none). Files of processes that have died are removed. On another machine that shares the
 * disk a process cannot be looked for; it counts as alive.
 *
 * @returns ends the lock
 * @throws {MonosemeError} ERR_LOCKED naming the process that writes there; ERR_FILE, ERR_DISK_FULL
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const name = `process-${process.pid}-${randomBytes(4).toString('hex')}.lock`;
  const own = join(folder, name);
  const owner: Owner = { pid: process.pid, host: hostname(), started: startOf(process.pid) };
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(own, JSON.stringify(owner), { flag: 'wx' });
  } catch (error) {
    throw fileError(error, `lock ${folder}`);
  }
  const unlock = () => rm(own, { force: true });
  for (const other of await readdir(folder)) {
    if (!isLock(other) || other === name) continue;
    const path = join(folder, other);
    const found = await readOwner(path);
    if (found === undefined) continue;
    if (isDead(found)) {
      await rm(path, { force: true });
      continue;
    }
    await unlock();
    const { pid, host } = found;
    throw new MonosemeError(
      'ERR_LOCKED',
      `Process ${pid}${host === hostname() ? '' : ` on ${host}`} is writing ${folder}.`,
      `Wait until it has ended; if it has, delete ${path}.`,
    );
  }
  return unlock;
}

/** Undefined where the file has gone meanwhile. */
async function readOwner(path: string): Promise<Owner | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw fileError(error, `read ${path}`);
  });
  if (text === undefined) return undefined;
  try {
    const { pid, host, started } = JSON.parse(text) as Owner;
    return { pid: Number(pid), host: String(host), started: String(started) };
  } catch {
    // A process killed as it announced itself: its number is in the name.
    return { pid: Number(basename(path).split('-')[1]), host: hostname() };
  }
}

function isDead({ pid, host, started }: Owner): boolean {
  if (host !== hostname()) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
  return started !== undefined && started !== startOf(pid);
}

/** Field 22 of Linux's /proc/PID/stat, counted behind the name in brackets; elsewhere nothing. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
