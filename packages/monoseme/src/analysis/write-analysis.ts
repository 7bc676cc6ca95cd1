import { join } from 'node:path';
import { atomicWrite, TOOLKIT_VERSION, writeJson } from '../formats/index.ts';
import { htmlReport, type ReportSection } from '../report/index.ts';

const SCHEMA_VERSION = 1;

/** What an analysis found, in its forms: for programs and for people. */
export interface Analysis {
  /** As in `proxies`: the name of the files. */
  readonly name: string;
  readonly title: string;
  readonly summary: string;
  /** Keys in snake_case. */
  readonly json: Readonly<Record<string, unknown>>;
  /** The figures of the summary, by name, for a program that needs no more. */
  readonly figures?: Readonly<Record<string, number | null>>;
  readonly sections: readonly ReportSection[];
}

export interface AnalysisProvenance {
  readonly madeFrom: Readonly<Record<string, string>>;
  readonly backend: string;
  readonly seed: number;
  readonly command: string;
}

/** Write `NAME.json` and `NAME.html` into a folder. */
export async function writeAnalysis(
  folder: string,
  { name, title, summary, json, sections }: Analysis,
  { madeFrom, backend, seed, command }: AnalysisProvenance,
): Promise<{ json: string; page: string }> {
  const paths = { json: join(folder, `${name}.json`), page: join(folder, `${name}.html`) };
  const hashes = Object.entries(madeFrom).map(([role, hash]) => [`SHA-256 of the ${role}`, hash]);
  await writeJson(paths.json, {
    ...{ schema_version: SCHEMA_VERSION, analysis: name, made_from: madeFrom },
    ...{ versions: { monoseme: TOOLKIT_VERSION }, backend, seed, command },
    ...json,
  });
  const provenance = {
    ...{ command, ...Object.fromEntries(hashes) },
    ...{ seed: String(seed), kernels: backend, monoseme: TOOLKIT_VERSION },
  };
  await atomicWrite(paths.page, htmlReport({ title, summary, sections, provenance }));
  return paths;
}
