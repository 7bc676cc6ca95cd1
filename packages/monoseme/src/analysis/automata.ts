import type { TokenSet } from '../corpus/index.ts';
import { type Interval, shareOf } from '../evaluation/index.ts';
import type { Codes } from '../kernels/contract.ts';
import { type CodedText, codedChunks, type Pass } from './coded-text.ts';
import type { PairSums } from './pair-sums.ts';
import { PairSummer } from './pair-summer.ts';
import { MIN_FIRED } from './universality.ts';

/** A step of a finite-state automaton: when `from` is active, `to` tends to be at the next token. */
export interface AutomatonEdge {
  readonly from: number;
  readonly to: number;
  /** P(to at t + 1 | from at t), and how many times P(to) it is. */
  readonly probability: number;
  readonly lift: number;
  /** Of the probability, 95 %, over the tokens on which `from` is active (Wilson). */
  readonly interval: Interval;
  /** Times the step was seen. */
  readonly count: number;
}

/** Latents that lead to each other: a strongly connected part of the graph of steps. */
export interface AutomatonSystem {
  /** Ascending. */
  readonly latents: readonly number[];
  readonly edges: readonly AutomatonEdge[];
  /** Mean over its edges of probability: how surely it goes on. */
  readonly strength: number;
}

export interface Automata {
  readonly nSteps: number;
  /** All steps with probability and lift above the bounds, the likeliest first. */
  readonly edges: readonly AutomatonEdge[];
  /** Strongest first. */
  readonly systems: readonly AutomatonSystem[];
}

export interface AutomataOptions {
  /** A step needs this probability (0.3) and this lift (10) to be an edge. */
  readonly minProbability?: number;
  readonly minLift?: number;
  /** Larger parts of the graph are no small systems (12). */
  readonly maxLatents?: number;
}

/**
 * Finite-state automata: latents that raise each other at the next token, found in what follows what in real text.
 *
 *   edge i → j  when P(f_j > 0 at t + 1 | f_i > 0 at t) ≥ 0.3 and is ≥ 10 times P(f_j > 0)
 *
 * Systems are the strongly connected components of that graph, and latents with an edge to themselves.
 *
 * Deviation  Bricken et al. 2023 go by which tokens a latent raises and who fires on them; this counts what really came
 *            next, in whole contexts, and so needs no unembedding
 * @throws {MonosemeError} ERR_MISMATCH, ERR_INTERRUPTED
 */
export async function automata(
  text: CodedText,
  pass: Pass,
  options: AutomataOptions = {},
): Promise<Automata> {
  const { dSae } = text.dictionary.config;
  const summer = new PairSummer(pass.backend, dSae, dSae, { masked: false });
  const { contextSize } = text.source;
  for await (const { codes } of codedChunks([text], pass)) {
    const [chunk] = codes;
    for (let start = 0; start < chunk.nRows; start += contextSize)
      await addSteps(summer, chunk, start, contextSize);
  }
  return automataOf(await summer.finish(), options);
}

/** The steps of a context: every row with the next one. */
export async function addSteps(
  summer: PairSummer,
  codes: Codes,
  start: number,
  contextSize: number,
): Promise<void> {
  const rows = (from: number) => ({
    ...codes,
    nRows: contextSize - 1,
    rowPointers: codes.rowPointers.subarray(from, from + contextSize),
  });
  await summer.add(rows(start), rows(start + 1));
}

/** @param sums a: active at a token, b: active at the next */
export function automataOf(sums: PairSums, options: AutomataOptions = {}): Automata {
  const { minProbability = 0.3, minLift = 10, maxLatents = 12 } = options;
  const edges: AutomatonEdge[] = [];
  for (const { a, b, together } of sums.pairs()) {
    if (sums.a.fired[a] < MIN_FIRED || sums.b.fired[b] < MIN_FIRED) continue;
    const { value: probability, interval } = shareOf(together, sums.a.fired[a]);
    const lift = probability / (sums.b.fired[b] / sums.nTokens);
    if (probability >= minProbability && lift >= minLift)
      edges.push({ from: a, to: b, probability, interval, lift, count: together });
  }
  edges.sort((x, y) => y.probability - x.probability || x.from - y.from || x.to - y.to);
  const systems = components(edges)
    .filter((latents) => latents.length <= maxLatents)
    .map((latents) => systemOf(latents, edges))
    .filter((system) => system.edges.length > 0);
  systems.sort(
    (x, y) => y.latents.length - x.latents.length || y.strength - x.strength || x.latents[0] - y.latents[0],
  );
  return { nSteps: sums.nTokens, edges, systems };
}

function systemOf(latents: readonly number[], all: readonly AutomatonEdge[]): AutomatonSystem {
  const members = new Set(latents);
  const edges = all.filter(({ from, to }) => members.has(from) && members.has(to));
  const strength = edges.reduce((sum, { probability }) => sum + probability, 0) / Math.max(1, edges.length);
  return { latents, edges, strength };
}

/** Strongly connected components, each ascending (Tarjan, with a stack of its own instead of recursion). */
function components(edges: readonly AutomatonEdge[]): number[][] {
  const next = new Map<number, number[]>();
  for (const { from, to } of edges) {
    next.set(from, [...(next.get(from) ?? []), to]);
    if (!next.has(to)) next.set(to, []);
  }
  const index = new Map<number, number>();
  const low = new Map<number, number>();
  const onStack = new Set<number>();
  const stack: number[] = [];
  const found: number[][] = [];
  const enter = (node: number): { node: number; at: number } => {
    index.set(node, index.size);
    low.set(node, index.get(node)!);
    stack.push(node);
    onStack.add(node);
    return { node, at: 0 };
  };
  for (const root of next.keys()) {
    if (index.has(root)) continue;
    const work = [enter(root)];
    while (work.length > 0) {
      const frame = work.at(-1)!;
      const to = next.get(frame.node)![frame.at++];
      if (to === undefined) {
        work.pop();
        const parent = work.at(-1);
        if (parent) low.set(parent.node, Math.min(low.get(parent.node)!, low.get(frame.node)!));
        if (low.get(frame.node) === index.get(frame.node)) found.push(unwind(stack, onStack, frame.node));
      } else if (!index.has(to)) work.push(enter(to));
      else if (onStack.has(to)) low.set(frame.node, Math.min(low.get(frame.node)!, index.get(to)!));
    }
  }
  return found;
}

function unwind(stack: number[], onStack: Set<number>, root: number): number[] {
  const component: number[] = [];
  for (;;) {
    const node = stack.pop()!;
    onStack.delete(node);
    component.push(node);
    if (node === root) return component.sort((a, b) => a - b);
  }
}

/** The token that carries most of the activation of each of some latents, by latent. */
export async function topTokens(
  text: CodedText,
  { tokens }: TokenSet,
  latents: ReadonlySet<number>,
  pass: Pass,
): Promise<Map<number, number>> {
  const mass = new Map([...latents].map((latent) => [latent, new Map<number, number>()]));
  for await (const { codes, firstToken } of codedChunks([text], pass)) {
    const [chunk] = codes;
    for (let row = 0; row < chunk.nRows; row++) {
      for (let pair = chunk.rowPointers[row]; pair < chunk.rowPointers[row + 1]; pair++) {
        const ofLatent = mass.get(chunk.latentIndices[pair]);
        const token = tokens[firstToken + row];
        ofLatent?.set(token, (ofLatent.get(token) ?? 0) + chunk.values[pair]);
      }
    }
  }
  const best = new Map<number, number>();
  for (const [latent, sums] of mass) {
    const [first] = [...sums].sort(([a, x], [b, y]) => y - x || a - b);
    if (first) best.set(latent, first[0]);
  }
  return best;
}
