import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { GOES_ON } from '../errors.ts';
import type { ReportSection } from '../report/index.ts';
import { writeControl } from '../model/index.ts';
import {
  claimsOf,
  type Findings,
  FULL_LADDER,
  QUICK_LADDER,
  rungsOf,
  type StepResult,
  verdict,
  writeReproduction,
} from '../reproduce/index.ts';
import { addBackendFlags, type BackendFlags, openBackend } from './backend-option.ts';
import { type CommandContext, withStage } from './context.ts';
import type { DeclareCommand } from './main.ts';
import { DEFAULT_MODEL, modelPath } from './model-option.ts';
import { compact, duration } from './progress.ts';
import { automataStep, controlStep, densityStep, evaluationStep, proxyStep } from './reproduce-analyses.ts';
import { circleStep, effectStep, motifStep, neuronStep, persistenceStep } from './reproduce-latents.ts';
import { splittingStep, universalityStep } from './reproduce-pairs.ts';
import { ReproduceWork } from './reproduce-work.ts';
import { table } from './table.ts';

interface Flags extends BackendFlags {
  readonly out: string;
  readonly quick?: boolean;
}

/** `monoseme reproduce`: the paper on the embedded models, as one report. */
export const reproduceCommand: DeclareCommand = (program, run) => {
  const command = program
    .command('reproduce')
    .description(
      'The paper in one command: dictionaries of the embedded models and of the shuffled control, every claim measured, one report.',
    )
    .option(
      '--out <folder>',
      'dictionaries, steps and the report; what is finished is used again',
      'out/paper',
    )
    .option(
      '--quick',
      'every step on tiny sizes, in about a minute: a trial, nothing follows from its figures',
    )
    .addHelpText('after', '\nExample:\n  monoseme reproduce --out out/paper')
    .action(run(reproduce, GOES_ON));
  addBackendFlags(command);
};

async function reproduce(context: CommandContext, flags: Flags): Promise<void> {
  const ladder = flags.quick ? QUICK_LADDER : FULL_LADDER;
  const { out } = flags;
  const backend = await openBackend(flags, context);
  const control = join(out, 'control');
  if (!existsSync(join(control, 'model.onnx'))) await shuffle(context, control);
  const models = { a: DEFAULT_MODEL, b: 'one-layer-b', control };
  const work = new ReproduceWork({ context, ladder, out, backend, models, threads: flags.threads });
  try {
    for (const rung of rungsOf(ladder)) await work.train(rung);
    const findings = await measure(work);
    const claims = claimsOf(findings);
    const written = await writeReproduction(out, {
      claims,
      sections: sectionsOf(findings),
      quick: flags.quick === true,
      seed: 0,
      backend: backend.description,
      command: context.command,
    });
    context.print(
      table(
        ['claim', 'paper', 'here', 'verdict'],
        claims.map((claim) => [claim.id, claim.paper, claim.ours, verdict(claim)]),
      ),
    );
    context.print(`\n${written.summary}\n${written.json}\n${written.page}`);
    context.result({
      report: written.json,
      page: written.page,
      summary: written.summary,
      verdicts: Object.fromEntries(claims.map(({ id, holds }) => [id, holds])),
      seconds: Number(process.uptime().toFixed(1)),
      peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    });
    context.progress.write(`all        ${duration(process.uptime())}\n`);
  } finally {
    await work.close();
  }
}

function shuffle(context: CommandContext, out: string): Promise<void> {
  return withStage(context, 'control', 'matrices', async () => {
    const { signal } = context;
    const { nEntries, matrices } = await writeControl(modelPath(DEFAULT_MODEL), out, { seed: 0, signal });
    return [undefined, `${compact(nEntries)} weights of ${matrices.length} matrices permuted`];
  });
}

async function measure(work: ReproduceWork): Promise<Findings> {
  const { a, b, control } = work.ladder;
  const [small, middle, large] = a;
  const proxies = await proxyStep(work, middle, true);
  return {
    evaluations: [
      await evaluationStep(work, small),
      await evaluationStep(work, middle),
      await evaluationStep(work, large),
    ],
    density: await densityStep(work, middle),
    proxies,
    controlProxies: await proxyStep(work, control, false),
    universality: await universalityStep(work, middle, b),
    splitting: [await splittingStep(work, small, middle), await splittingStep(work, small, large)],
    automata: await automataStep(work, small),
    neurons: await neuronStep(work, middle),
    motifs: await motifStep(work, middle),
    controlMotifs: await motifStep(work, control),
    persistence: await persistenceStep(work, middle),
    circle: await circleStep(work),
    effects: await effectStep(work, middle, proxies),
    controls: await controlStep(work, middle, control),
  };
}

function sectionsOf(findings: Findings): ReportSection[] {
  const steps = Object.values(findings).flat() as StepResult<unknown>[];
  return steps.flatMap(({ sections }) => sections);
}
