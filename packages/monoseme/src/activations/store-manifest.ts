import { join } from 'node:path';
import { isNotFound, MonosemeError, throwIfAborted } from '../errors.ts';
import { readManifest, snakeCaseKeys, writeManifest } from '../formats/index.ts';
import { ifWhole, type StoreShard, TENSORS, wholeShard } from './shard.ts';
import type { DroppedRows } from './source.ts';
import { planHash, readPlan, type StorePlan } from './store-plan.ts';

const STORE_KIND = 'activation-store';

/** A finished store as its manifest says. */
export interface FinishedStore {
  plan: StorePlan;
  shards: StoreShard[];
  modelHash?: string;
  /** What was left out of the text. */
  dropped?: DroppedRows;
}

/** Of work that looks through every shard. */
export interface CheckOptions {
  signal?: AbortSignal;
  /** In shards. */
  onProgress?: (done: number, total: number) => void;
}

/** Write the manifest, which makes the folder a store. */
export async function writeStoreManifest(
  folder: string,
  { plan, shards, modelHash, dropped }: FinishedStore,
  versions: Record<string, string> = {},
): Promise<void> {
  await writeManifest(folder, {
    kind: STORE_KIND,
    madeFrom: { ...(modelHash && { model: modelHash }), source: plan.sourceHash, plan: planHash(plan) },
    versions,
    details: {
      n_rows: shards.reduce((sum, { rows }) => sum + rows, 0),
      d_in: plan.dIn,
      dtype: plan.dtype,
      ...(dropped && { dropped: snakeCaseKeys({ ...dropped }) }),
      shards,
    },
  });
}

/** @throws {MonosemeError} ERR_NOT_FOUND (no store, or not finished), ERR_FORMAT, ERR_MISMATCH */
export async function readStoreManifest(folder: string): Promise<FinishedStore> {
  const { madeFrom, details } = await readManifest(folder, STORE_KIND).catch(async (error: unknown) => {
    if (isNotFound(error) && (await readPlan(folder).catch(() => undefined)))
      throw new MonosemeError(
        'ERR_NOT_FOUND',
        `The harvest of ${folder} is not finished.`,
        'Run it again: it goes on where it stopped. Or train on what is whole (--salvage).',
        { cause: error },
      );
    throw error;
  });
  const plan = await readPlan(folder);
  if (madeFrom.plan !== planHash(plan))
    throw new MonosemeError(
      'ERR_MISMATCH',
      `The plan of ${folder} is not the one that the store was made by.`,
      'Harvest again into another folder.',
    );
  const { shards } = details;
  if (!Array.isArray(shards) || shards.length !== plan.nShards || !shards.every(isShard))
    throw new MonosemeError(
      'ERR_FORMAT',
      `${join(folder, 'manifest.json')} does not list the ${plan.nShards} shards of its plan.`,
      'Run the same harvest again.',
    );
  return { plan, shards, modelHash: madeFrom.model, dropped: readDropped(details.dropped) };
}

function readDropped(value: unknown): DroppedRows | undefined {
  const { read, tokens, not_drawn: notDrawn, norms } = (value ?? {}) as Record<string, unknown>;
  const counts = [read, tokens, notDrawn, norms];
  return counts.every(Number.isSafeInteger) ? ({ read, tokens, notDrawn, norms } as DroppedRows) : undefined;
}

/** A file's name without a path, so that nothing outside the folder is read. */
function isShard(value: unknown): value is StoreShard {
  const { file, rows, sha256, crc32, tensors } = (value ?? {}) as Record<string, unknown>;
  return (
    typeof file === 'string' &&
    /^\w[\w.-]*$/.test(file) &&
    Number.isSafeInteger(rows) &&
    (rows as number) >= 0 &&
    typeof sha256 === 'string' &&
    [crc32, tensors].every(isTextOfTensors)
  );
}

const isTextOfTensors = (value: unknown): boolean =>
  value === undefined ||
  (typeof value === 'object' &&
    Object.entries(value ?? {}).every(
      ([name, text]) => (TENSORS as readonly string[]).includes(name) && typeof text === 'string',
    ));

/** What is whole of a store that was not finished, or was damaged. @see ActivationStore.salvage */
export async function salvageStore(
  folder: string,
  { signal, onProgress }: CheckOptions,
): Promise<FinishedStore> {
  const plan = await readPlan(folder);
  const listed = await readStoreManifest(folder).catch((error: unknown) => {
    if (error instanceof MonosemeError) return undefined;
    throw error;
  });
  const shards: StoreShard[] = [];
  for (let shard = 0; shard < plan.nShards; shard++) {
    throwIfAborted(signal);
    const whole = await (listed
      ? ifWhole(folder, plan, listed.shards[shard])
      : wholeShard(folder, plan, shard));
    if (whole) shards.push(whole);
    onProgress?.(shard + 1, plan.nShards);
  }
  if (shards.length > 0) return { plan, shards, modelHash: listed?.modelHash };
  throw new MonosemeError('ERR_NOT_FOUND', `No shard of ${folder} is whole.`, 'Harvest again.');
}
