import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MonosemeError } from '../errors.ts';
import { CARDS, type IndexDetails, partName } from './schema.ts';

/** Whether a manifest says all that a reader needs before it opens a table. */
export function isSound(details: Partial<IndexDetails> | undefined): details is IndexDetails {
  const whole = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  const { dictionary, corpus, files, latents_per_part } = details ?? {};
  return (
    whole(dictionary?.d_sae) &&
    dictionary!.d_sae > 0 &&
    whole(corpus?.n_tokens) &&
    whole(corpus?.context_size) &&
    corpus!.context_size > 0 &&
    whole(corpus?.vocab_size) &&
    (corpus?.token_bytes === 2 || corpus?.token_bytes === 4) &&
    whole(latents_per_part) &&
    latents_per_part! > 0 &&
    Array.isArray(files) &&
    files.every((file) => typeof file?.path === 'string' && whole(file.bytes) && isInside(file.path))
  );
}

/** A relative path of plain names: nothing in a manifest leads out of the folder. */
function isInside(path: string): boolean {
  return path.split('/').every((part) => /^[\w-][\w.-]*$/.test(part));
}

/**
 * Every file is there with its full length.
 *
 * @throws {MonosemeError} ERR_FORMAT
 */
export async function checkFiles(
  folder: string,
  { files, dictionary, effects, latents_per_part }: IndexDetails,
): Promise<void> {
  const nParts = Math.ceil(dictionary.d_sae / latents_per_part);
  const parts = Array.from({ length: nParts }, (_, part) => [
    partName('details', part),
    partName('examples', part),
    ...(effects ? [partName('effects', part)] : []),
  ]);
  const needed = [
    'features.parquet',
    CARDS,
    'token_latents.parquet',
    'logit_latents.parquet',
    'example_places.parquet',
    'vocabulary.json',
    'corpus/tokens.bin',
    'corpus/documents.parquet',
    ...parts.flat(),
  ];
  const listed = new Map(files.map((file) => [file.path, file.bytes]));
  // Indexes made before it have none.
  if (listed.has('clusters.parquet')) needed.push('clusters.parquet');
  for (const path of needed) {
    const bytes = listed.get(path);
    const size = await stat(join(folder, path)).then(
      (stats) => (stats.isFile() ? stats.size : undefined),
      () => undefined,
    );
    if (size !== undefined && size === bytes) continue;
    const what =
      size === undefined
        ? 'is missing'
        : `has ${size} bytes, but the manifest says ${bytes ?? 'nothing of it'}`;
    throw new MonosemeError('ERR_FORMAT', `${join(folder, path)} ${what}.`, 'Copy or build the index again.');
  }
}
