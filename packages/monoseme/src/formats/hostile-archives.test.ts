/** Archives made to hang a reader or to take its memory: each is refused with one line, at once. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { loadDictionary } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import { readTorch } from './index.ts';
import { readNpz, writeNpz } from './npz.ts';
import { writeZip } from './zip-writer.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-hostile-'));
});
after(async () => {
  await rm(folder, { recursive: true });
});

/** Bytes of a pickle, of which the code points below 256 stand for themselves. */
const opcodes = (text: string) => Buffer.from(text, 'latin1');
const text = (value: string) => `X${String.fromCharCode(value.length, 0, 0, 0)}${value}`;
const STORAGE = `(${text('storage')}ctorch\nFloatStorage\n${text('0')}${text('cpu')}K\x01tQ`;
const tensor = (shape: string, stride = shape) =>
  `ctorch._utils\n_rebuild_tensor_v2\n(${STORAGE}K\x00${shape}${stride}\x89)tR`;
/** A tuple that holds another twice, which holds a third twice, …: 2^40 tuples when they are written out. */
const BOMB = `)${'q\x01h\x01\x86'.repeat(40)}`;
const DEEP = `)${'\x85'.repeat(200_000)}`;

async function torchFile(pickle: string): Promise<string> {
  const path = join(folder, 'hostile.pt');
  const entries = [
    ['data.pkl', opcodes(`\x80\x02}(${pickle}u.`)],
    ['data/0', new Uint8Array(4)],
  ] as const;
  await writeZip(
    path,
    entries.map(([name, bytes]) => ({ name: `x/${name}`, content: () => [bytes] })),
  );
  return path;
}

function isOneLine(code: string, says: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof MonosemeError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, says);
    assert.doesNotMatch(error.message, /\p{Cc}/u);
    assert.ok(error.message.length < 2200);
    return true;
  };
}

describe('pickles', () => {
  for (const [what, pickle, says] of [
    ['a storage', text('a') + `${BOMB}\x85Q`, /names a storage that is none \(object, undefined\)/],
    [
      'a number of elements',
      text('a') + STORAGE.replace('K\x01tQ', `${BOMB}tQ`),
      /a storage of object elements/,
    ],
    ['a shape', text('a') + tensor(`${BOMB}\x85`), /"a" has a shape, stride or offset/],
    ['a shape, deep', text('a') + tensor(`${DEEP}\x85`), /"a" has a shape, stride or offset/],
  ] as const)
    test(`a tuple that holds itself many times over, as ${what}`, async () => {
      await assert.rejects(readTorch(await torchFile(pickle)), isOneLine('ERR_FORMAT', says));
    });

  for (const [what, value] of [
    ['many times over', BOMB],
    ['deep', DEEP],
  ])
    test(`a tuple that holds itself ${what}, as a setting`, async () => {
      const vector = tensor('K\x01\x85');
      const matrix = tensor('K\x01K\x01\x86');
      const weights = {
        pre_bias: vector,
        latent_bias: vector,
        'encoder.weight': matrix,
        'decoder.weight': matrix,
      };
      const tensors = Object.entries(weights).map(([name, as]) => text(name) + as);
      const settings = `${text('activation')}${text('TopK')}${text('activation_state_dict')}}${text('k')}${value}s`;
      const path = await torchFile(tensors.join('') + settings);
      await assert.rejects(loadDictionary(path), isOneLine('ERR_FORMAT', /k is undefined/));
    });

  test('names of megabytes, and with control characters, are cut and cleaned in the error', async () => {
    const long = (name: string) => `X${String.fromCharCode(0, 0, 1, 0)}${name.repeat(2 ** 16)}`;
    const path = await torchFile(
      ['a', '\n', '\x1b'].map((name) => long(name) + tensor('K\x01\x85')).join(''),
    );
    await assert.rejects(loadDictionary(path), isOneLine('ERR_FORMAT', /holds no dictionary/));
  });

  test('more objects than a state dict has are not made', async () => {
    const path = await torchFile(`${text('a')}${'}'.repeat(2 ** 19)}`);
    await assert.rejects(readTorch(path), isOneLine('ERR_LIMIT', /The pickle of .* bytes/));
  });
});

describe('entries', () => {
  test('an array that packs a thousandfold is not unpacked once it is large', async () => {
    const size = 64 * 2 ** 20 + 1;
    const packed = deflateRawSync(new Uint8Array(size));
    const path = join(folder, 'zeros.npz');
    await writeZip(path, [{ name: 'W_enc.npy', content: () => [packed] }]);
    const bytes = await readFile(path);
    const entry = bytes.readUInt32LE(bytes.length - 6);
    bytes.writeUInt16LE(8, entry + 10);
    bytes.writeUInt32LE(size, entry + 24);
    await writeFile(path, bytes);
    const file = await readNpz(path);
    const before = process.memoryUsage().arrayBuffers;
    await assert.rejects(
      file.floats('W_enc'),
      isOneLine('ERR_LIMIT', /"W_enc\.npy".*67108865 bytes unpacked/),
    );
    assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 20);
    await file.close();
  });

  test('an array in which one bit is another is refused by its checksum', async () => {
    const path = join(folder, 'flipped.npz');
    await writeNpz(path, { b: { shape: [2], data: Float32Array.of(1, 2) } });
    const bytes = await readFile(path);
    bytes[bytes.indexOf(Buffer.of(0, 0, 0, 0x40)) + 2] ^= 1;
    await writeFile(path, bytes);
    const file = await readNpz(path);
    await assert.rejects(
      file.floats('b', [2]),
      isOneLine('ERR_FORMAT', /"b\.npy" does not have its checksum/),
    );
    await file.close();
  });
});
