import { join } from 'node:path';
import { atomicWrite, snakeCaseKeys, TOOLKIT_VERSION, writeJson } from '../formats/index.ts';
import { htmlReport, type ReportSection } from '../report/index.ts';
import type { Claim } from './claim.ts';

const SCHEMA_VERSION = 1;

export interface Reproduction {
  readonly claims: readonly Claim[];
  /** What the steps found, in the order of the report. */
  readonly sections: readonly ReportSection[];
  /** Whether the sizes were those of a trial, from which nothing follows. */
  readonly quick: boolean;
  readonly seed: number;
  readonly backend: string;
  readonly command: string;
}

/** Write `reproduction.json` and `reproduction.html` into a folder. The schema is docs/reproduction.schema.json. */
export async function writeReproduction(
  folder: string,
  { claims, sections, quick, seed, backend, command }: Reproduction,
): Promise<{ json: string; page: string; summary: string }> {
  const paths = { json: join(folder, 'reproduction.json'), page: join(folder, 'reproduction.html') };
  const summary = summaryOf(claims, quick);
  await writeJson(paths.json, {
    schema_version: SCHEMA_VERSION,
    versions: { monoseme: TOOLKIT_VERSION },
    ...{ quick, seed, backend, command, summary },
    claims: claims.map(({ madeFrom, ...claim }) => ({
      ...snakeCaseKeys<unknown>(claim),
      made_from: madeFrom,
    })),
  });
  const page = htmlReport({
    title: 'Towards Monosemanticity, measured again',
    summary,
    sections: [verdicts(claims), methods(claims), ...sections],
    provenance: { command, seed: String(seed), kernels: backend, monoseme: TOOLKIT_VERSION },
  });
  await atomicWrite(paths.page, page);
  return { ...paths, summary };
}

export function verdict({ holds }: Claim): string {
  if (holds === null) return 'cannot be said here';
  return holds ? 'holds' : 'does not hold';
}

function summaryOf(claims: readonly Claim[], quick: boolean): string {
  const count = (holds: boolean | null) => claims.filter((claim) => claim.holds === holds).length;
  const counts = `${count(true)} of ${claims.length} claims hold here, ${count(false)} do not, ${count(null)} cannot be said.`;
  return quick ? `${counts} A trial on tiny sizes: nothing follows from its figures.` : counts;
}

function verdicts(claims: readonly Claim[]): ReportSection {
  return {
    title: 'Claims',
    text: [
      'The subjects are the embedded one-layer models: the architecture of the paper’s on other, much smaller text, with ' +
        'dictionaries of far fewer tokens. So figures are expected to differ; the question is whether the findings stay.',
      'In brackets: intervals of 95 %, over documents; of medians and of mean effects, over latents.',
    ],
    tables: [
      {
        header: ['claim', 'the paper', 'here', 'verdict'],
        rows: claims.map((claim) => [claim.claim, claim.paper, claim.ours, verdict(claim)]),
      },
    ],
  };
}

function methods(claims: readonly Claim[]): ReportSection {
  return {
    title: 'How each was measured',
    text: ['The rule says when a claim counts as holding. The command alone gives the same figures again.'],
    tables: [
      {
        header: ['claim', 'rule', 'command', 'SHA-256'],
        rows: claims.map(({ id, rule, command, madeFrom }) => [
          id,
          rule,
          command,
          Object.entries(madeFrom)
            .map(([role, hash]) => `${role} ${hash.slice(0, 16)}`)
            .join(', '),
        ]),
      },
    ],
  };
}
