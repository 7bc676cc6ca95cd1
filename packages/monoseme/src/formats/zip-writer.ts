import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { MonosemeError } from '../errors.ts';
import { atomicWrite, writeAll } from './atomic-write.ts';
import { END_BYTES, END_SIGNATURE, ENTRY_SIGNATURE, LOCAL_SIGNATURE } from './zip.ts';

/** A file of an archive. */
export interface ZipEntry {
  /** Path in the archive, parts joined by `/`. */
  readonly name: string;
  /** Its bytes in pieces; asked for twice, since the checksum stands before them. */
  content(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/**
 * Write a zip archive, its entries stored as they are, atomically; the same bytes for the same entries.
 *
 * @throws {MonosemeError} ERR_LIMIT past 4 GiB or 65,535 entries, ERR_DISK_FULL, ERR_FILE
 */
export async function writeZip(path: string, entries: readonly ZipEntry[]): Promise<void> {
  await atomicWrite(path, async (file) => {
    const directory: Uint8Array[] = [];
    let offset = 0;
    for (const entry of entries) {
      const fields = await fieldsOf(entry);
      const local = zipRecord(LOCAL_SIGNATURE, fields);
      directory.push(zipRecord(ENTRY_SIGNATURE, fields, offset));
      offset += local.length + fields.bytes;
      if (offset > 0xfffffffe || directory.length > 0xfffe)
        throw new MonosemeError(
          'ERR_LIMIT',
          `${path} would be past 4 GiB or 65,534 files.`,
          'Write it in another form.',
        );
      await writeAll(file, local);
      for await (const piece of entry.content()) await writeAll(file, piece);
    }
    await writeEnd(file, directory, offset);
  });
}

interface Fields {
  readonly name: Uint8Array;
  readonly crc: number;
  readonly bytes: number;
}

async function fieldsOf({ name, content }: ZipEntry): Promise<Fields> {
  let [crc, bytes] = [0, 0];
  for await (const piece of content()) {
    crc = crc32(piece, crc);
    bytes += piece.length;
  }
  return { name: new TextEncoder().encode(name), crc, bytes };
}

async function writeEnd(file: FileHandle, directory: readonly Uint8Array[], offset: number): Promise<void> {
  for (const entry of directory) await writeAll(file, entry);
  const end = new DataView(new ArrayBuffer(END_BYTES));
  end.setUint32(0, END_SIGNATURE, true);
  end.setUint16(8, directory.length, true);
  end.setUint16(10, directory.length, true);
  end.setUint32(
    12,
    directory.reduce((sum, entry) => sum + entry.length, 0),
    true,
  );
  end.setUint32(16, offset, true);
  await writeAll(file, new Uint8Array(end.buffer));
}

/** The local record of an entry, or with an offset its record in the directory. */
function zipRecord(signature: number, { name, crc, bytes }: Fields, offset?: number): Uint8Array {
  const isLocal = offset === undefined;
  const fixed = isLocal ? 30 : 46;
  const out = new Uint8Array(fixed + name.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, signature, true);
  // In the directory the version that made it comes first; 1 January 1980 is the least date there is.
  const at = isLocal ? 4 : 6;
  if (!isLocal) view.setUint16(4, 20, true);
  view.setUint16(at, 20, true);
  view.setUint16(at + 8, 0x21, true);
  view.setUint32(at + 10, crc, true);
  view.setUint32(at + 14, bytes, true);
  view.setUint32(at + 18, bytes, true);
  view.setUint16(at + 22, name.length, true);
  if (!isLocal) view.setUint32(42, offset, true);
  out.set(name, fixed);
  return out;
}
