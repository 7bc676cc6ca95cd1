import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { fileError, MonosemeError } from '../../errors.ts';
import { type DashboardEntry, type DashboardSource, EntryReader } from './dashboard-entry.ts';

/** A feature with a vector of 20,000 numbers takes 400 kB, an example with 1,024 tokens 30 kB. */
const MAX_LINE = 2 ** 24;
/** Bytes that are read, and unpacked, at once: a feature's examples take a few hundred thousand. */
const PIECE = 2 ** 18;

export interface NeuronpediaFiles {
  readonly folder: string;
  readonly features: readonly string[];
  readonly activations: readonly string[];
  readonly explanations: readonly string[];
}

/** The bulk files of one source: `features/batch-N.jsonl[.gz]` and `activations/…`; undefined where there are none. */
export async function neuronpediaFiles(folder: string): Promise<NeuronpediaFiles | undefined> {
  const [features, activations, explanations] = await Promise.all(
    ['features', 'activations', 'explanations'].map(async (name) => {
      const files = await readdir(join(folder, name)).catch(() => []);
      return files
        .filter((file) => /^batch-\d+\.jsonl(\.gz)?$/.test(file))
        .sort((a, b) => a.length - b.length || (a < b ? -1 : 1))
        .map((file) => join(folder, name, file));
    }),
  );
  return features.length > 0 ? { folder, features, activations, explanations } : undefined;
}

/**
 * A source in Neuronpedia's bulk layout, read line by line.
 *
 * @throws {MonosemeError} ERR_FORMAT, ERR_LIMIT, ERR_FILE
 */
export async function readNeuronpedia(files: NeuronpediaFiles): Promise<DashboardSource> {
  const source = await firstLine(join(files.folder, 'source.jsonl'));
  const feature = await firstLine(files.features[0]);
  return {
    head: {
      format: 'neuronpedia',
      modelName: feature?.text('modelId') ?? '',
      hookName: feature?.text('hookName') || (feature?.text('layer') ?? ''),
      dataset: source?.text('dataset') ?? '',
      nTokens: source ? source.number('num_prompts') * source.number('num_tokens_in_prompt') : 0,
    },
    entries: () => entriesOf(files),
  };
}

async function* entriesOf({ features, activations }: NeuronpediaFiles): AsyncGenerator<DashboardEntry> {
  for (const path of features) {
    for await (const row of rowsOf(path)) {
      const index = row.index('index');
      const [near, cosines] = [row.numbers('topkCosSimIndices'), row.numbers('topkCosSimValues')];
      // The first is the feature itself.
      const others = near.map((other, i) => [other, cosines[i]]).filter(([other]) => other !== index);
      yield {
        figures: row.figures(
          index,
          others.map(([other]) => other),
          others.map(([, cosine]) => cosine ?? 0),
        ),
      };
    }
  }
  for (const path of activations) {
    for await (const row of rowsOf(path))
      yield { example: row.example(row.index('index'), 'binMin', 'binMax') };
  }
}

async function firstLine(path: string): Promise<EntryReader | undefined> {
  try {
    for await (const row of rowsOf(path)) return row;
  } catch (error) {
    if (!(error instanceof MonosemeError) || error.code !== 'ERR_NOT_FOUND') throw error;
  }
  return undefined;
}

async function* rowsOf(path: string): AsyncGenerator<EntryReader> {
  const name = basename(path);
  const file = createReadStream(path, { highWaterMark: PIECE });
  const input = path.endsWith('.gz') ? file.pipe(createGunzip({ chunkSize: PIECE })) : file;
  file.on('error', (error) => input.destroy(error));
  let number = 0;
  try {
    for await (const line of boundedLines(input, name)) {
      number++;
      if (line.trim() !== '')
        yield new EntryReader(parsed(line, `${name} line ${number}`), `${name} line ${number}`);
    }
  } catch (error) {
    if (error instanceof MonosemeError) throw error;
    if ((error as NodeJS.ErrnoException).code?.startsWith('Z_'))
      throw new MonosemeError('ERR_FORMAT', `${name} cannot be unpacked.`, 'Get the file again.', {
        cause: error,
      });
    throw fileError(error, `read ${path}`);
  } finally {
    file.destroy();
  }
}

/** Lines of a stream; one that is too long is refused before it is whole. */
async function* boundedLines(input: NodeJS.ReadableStream, name: string): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of input) {
    rest += decoder.decode(chunk as Uint8Array, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop()!;
    if (rest.length > MAX_LINE)
      throw new MonosemeError(
        'ERR_LIMIT',
        `${name} has a line of more than ${MAX_LINE} bytes.`,
        'Get the file again.',
      );
    yield* lines;
  }
  if (rest !== '') yield rest;
}

function parsed(line: string, where: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new MonosemeError('ERR_FORMAT', `${where} is not JSON.`, 'Get the file again.', { cause });
  }
}
