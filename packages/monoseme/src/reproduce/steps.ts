import { join } from 'node:path';
import { MonosemeError } from '../errors.ts';
import { readJson, sha256, TOOLKIT_VERSION, writeJson } from '../formats/index.ts';
import type { ReportSection } from '../report/index.ts';

const SCHEMA_VERSION = 1;
const MAX_STEP_BYTES = 1 << 28;

/** What a step came to, as it is kept. Numbers that are not defined are left out or null. */
export interface StepResult<F> {
  /** What the claims are made of. */
  readonly figures: F;
  /** For the report. */
  readonly sections: readonly ReportSection[];
  /** The command that does the same alone. */
  readonly command: string;
  /** SHA-256 of what it was done on, by role. */
  readonly madeFrom: Readonly<Record<string, string>>;
}

/** Steps of a long run in a folder: a step that was done with the same settings is not done again. */
export class Steps {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * @param settings everything that decides the result; a change makes the step again
   * @returns the result, and whether it was there already
   * @throws what `work` throws
   */
  async run<F>(
    name: string,
    settings: unknown,
    work: () => Promise<StepResult<F>>,
  ): Promise<StepResult<F> & { readonly wasDone: boolean }> {
    const path = join(this.#folder, `${name}.json`);
    const fingerprint = sha256(JSON.stringify([SCHEMA_VERSION, TOOLKIT_VERSION, name, settings]));
    const known = await readStep<F>(path, fingerprint);
    if (known) return { ...known, wasDone: true };
    const result = await work();
    await writeJson(path, { schema_version: SCHEMA_VERSION, step: name, fingerprint, ...result });
    return { ...result, wasDone: false };
  }
}

/** A step of the same fingerprint; undefined where there is none, or one that cannot be read. */
async function readStep<F>(path: string, fingerprint: string): Promise<StepResult<F> | undefined> {
  try {
    const json = (await readJson(path, MAX_STEP_BYTES)) as Record<string, unknown> | null;
    if (json?.['fingerprint'] !== fingerprint) return undefined;
    const { figures, sections, command, madeFrom } = json;
    return { figures, sections, command, madeFrom } as StepResult<F>;
  } catch (error) {
    if (error instanceof MonosemeError && ['ERR_NOT_FOUND', 'ERR_FORMAT', 'ERR_FILE'].includes(error.code))
      return undefined;
    throw error;
  }
}
