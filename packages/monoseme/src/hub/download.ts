import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileError, GOES_ON, interrupted, MonosemeError } from '../errors.ts';
import { writeAll } from '../formats/index.ts';
import { type HubConnection, type HubFile, pause, requestFile } from './hub-client.ts';
import type { HubSpec } from './hub-spec.ts';

/** Attempts in a row that may bring nothing. */
const ATTEMPTS = 4;

/**
 * Download a file to a path in a folder that exists. It goes to `partial` first, where a later call finds what an interrupted one left and asks
 * for the rest; only when its length and hash are right does it get its name.
 *
 * @param onBytes called with the bytes of this file that are there
 * @throws {MonosemeError} ERR_DOWNLOAD (cut off, or other bytes than the repository has), ERR_DISK_FULL, ERR_FILE, and
 *   what the hub refuses
 */
export async function downloadFile(
  hub: HubConnection,
  spec: HubSpec,
  commit: string,
  file: HubFile,
  to: { readonly path: string; readonly partial: string },
  onBytes: (done: number) => void,
): Promise<void> {
  try {
    await mkdir(dirname(to.partial), { recursive: true });
    let done = await sizeOf(to.partial);
    for (let idle = 0; done !== file.bytes;) {
      const from = done !== undefined && done < file.bytes ? done : 0;
      done = await receive(hub, spec, commit, file, { partial: to.partial, from }, onBytes);
      idle = done > from ? 0 : idle + 1;
      if (idle === ATTEMPTS) throw cutOff(file, done);
      if (idle > 0) await pause(2 ** idle * 50, hub.signal);
    }
    await expectHash(to.partial, file);
    await rename(to.partial, to.path);
  } catch (error) {
    throw fileError(error, `download ${file.path}`);
  }
}

/** Ask for the bytes from a place on and write them. Returns how many there are when the connection ends. */
async function receive(
  hub: HubConnection,
  spec: HubSpec,
  commit: string,
  file: HubFile,
  { partial, from }: { readonly partial: string; readonly from: number },
  onBytes: (done: number) => void,
): Promise<number> {
  const response = await requestFile(hub, spec, commit, file.path, from);
  // A server may ignore that and answer with the whole file.
  const isRest =
    response.status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${from}-`);
  let done = isRest ? from : 0;
  const handle = await open(partial, done > 0 ? 'r+' : 'w');
  try {
    await handle.truncate(done);
    for await (const chunk of chunksOf(response, hub.signal)) {
      if (done + chunk.length > file.bytes) throw wrongBytes(file, `more than its ${file.bytes} bytes came`);
      await writeAll(handle, chunk, done);
      done += chunk.length;
      onBytes(done);
    }
    await handle.sync();
    return done;
  } finally {
    await handle.close();
  }
}

/** The chunks of a body until it ends or its connection breaks. */
async function* chunksOf(response: Response, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  try {
    for (;;) {
      const chunk = await reader?.read().catch(() => undefined);
      if (signal?.aborted) throw interrupted(GOES_ON);
      if (!chunk || chunk.done) return;
      yield chunk.value;
    }
  } finally {
    await reader?.cancel().catch(() => {});
  }
}

/** @throws {MonosemeError} ERR_DOWNLOAD; the file is then removed */
async function expectHash(path: string, file: HubFile): Promise<void> {
  const isGit = file.hash.length === 40;
  const hash = createHash(isGit ? 'sha1' : 'sha256');
  if (isGit) hash.update(`blob ${file.bytes}\0`);
  await pipeline(createReadStream(path), hash);
  if (hash.digest('hex') === file.hash) return;
  await rm(path, { force: true });
  throw wrongBytes(file, 'what came has another hash');
}

function wrongBytes({ path }: HubFile, what: string): MonosemeError {
  return new MonosemeError(
    'ERR_DOWNLOAD',
    `${path} is not what the repository has: ${what}.`,
    'Run the same command again.',
  );
}

function cutOff({ path, bytes }: HubFile, done: number): MonosemeError {
  return new MonosemeError(
    'ERR_DOWNLOAD',
    `The download of ${path} was cut off after ${done} of ${bytes} bytes.`,
    'Run the same command again to go on from there.',
  );
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch {
    return undefined;
  }
}
