import type { ErrorCode } from '../errors.ts';
import type { CachePair } from './key-value-cache.ts';
import type { Feed, ModelInput } from './model-inputs.ts';
import type { Outcomes } from './outcomes.ts';
import type { Axis } from './tensor-shapes.ts';
import type { TokenEdits, TokenOutcomes } from './token-outcomes.ts';

/** What the model's worker can be asked, with the answer of each. */
export interface WorkerRequests {
  /**
   * Sizes and types of all outputs in runs of the given [batch, sequence]. Outputs that are no tensors are
   * left out.
   */
  inspect: {
    request: { session: SessionSpec; probes: [number, number][] };
    answer: { name: string; type: string; sizes: number[][] }[];
  };
  /** Run a session on values of all its inputs; its outputs are floats. */
  runFeeds: {
    request: { session: SessionName; feeds: Record<string, Feed> };
    answer: Record<string, FloatTensor>;
  };
  load: { request: { as: SessionName; session: SessionSpec }; answer: void };
  /** Activations [tokens, dIn] of whole contexts, computed `perRun` contexts at a time. */
  activations: {
    request: { tokens: Uint32Array; contextSize: number; perRun: number };
    answer: Float32Array;
  };
  /** The same in half precision, as the runtime rounds it; values beyond 65,504 are infinite. */
  halfActivations: {
    request: { tokens: Uint32Array; contextSize: number; perRun: number };
    answer: Uint16Array;
  };
  /** Memory of activations that are used no more: the next ones of as many bytes go there. */
  recycle: { request: { memory: ArrayBufferLike }; answer: void };
  /**
   * The same by the cut's prefix; what else crosses the cut stays with the worker under the batch's number.
   */
  openBatch: {
    request: { tokens: Uint32Array; contextSize: number; perRun: number };
    answer: { batch: number; activations: Float32Array<ArrayBuffer> };
  };
  /** Losses [contexts, contextSize − 1] of a batch with edited activations. */
  losses: { request: { batch: number; edited: Float32Array }; answer: Float32Array<ArrayBuffer> };
  /**
   * Σ over the batch's contexts of rowWeights[c] · (logits of the last position), [vocab], after steps[c] was
   * added to one dimension of that position's activations. The batch must have gone through the prefix in one
   * run.
   */
  nudge: {
    request: { batch: number; dimension: number; steps: Float32Array; rowWeights: Float32Array };
    answer: Float32Array<ArrayBuffer>;
  };
  /**
   * What `edited` [n contexts, contextSize, dIn] does, each a version of the batch's context of that number;
   * the tokens that change most in some of its rows.
   */
  outcomes: {
    request: { batch: number; edited: Float32Array; contexts: Uint32Array; rows: Uint32Array; top: number };
    answer: Outcomes;
  };
  /** What edits of single tokens do there; only where nothing behind the hook mixes tokens. */
  tokenOutcomes: { request: { batch: number; edits: TokenEdits }; answer: TokenOutcomes };
  closeBatch: { request: { batch: number }; answer: void };
  unload: { request: { session: SessionName }; answer: void };
  /**
   * A batch that goes through the parts of a model one after the other, under the answer's number; behind texts of which
   * a cache of that number holds keys and values, if it does.
   */
  openPass: { request: { feeds: Record<string, Feed>; cache?: number }; answer: number };
  /**
   * Run the next part, first with what the activations of the part before were edited to. The last part takes
   * the rows whose logits are wanted.
   *
   * @returns the part's activations with the sizes of their tensor, or what the head gives out
   */
  nextPart: {
    request: {
      pass: number;
      part: SessionName;
      edited?: { hook: number; values: Float32Array };
      rows?: Uint32Array;
    };
    answer: Record<string, FloatTensor>;
  };
  /**
   * Keep the keys and values of a pass that is through, under the cache's number, in place of those of the texts before it.
   *
   * @returns whether they are those before and `grownBy` more: a model may forget
   */
  keepCache: {
    request: { pass: number; cache: number; pairs: readonly CachePair[]; grownBy: number };
    answer: boolean;
  };
  dropCache: { request: { cache: number }; answer: void };
  closePass: { request: { pass: number }; answer: void };
}

/** f32 values, row-major, and the sizes of their tensor. */
export interface FloatTensor {
  values: Float32Array<ArrayBuffer>;
  dims: readonly number[];
}

/**
 * `harvest`: inputs → activations. `prefix`: with the crossing tensors. The others are suffixes with a head
 * each.
 */
export type SessionName = RunnerSession | `part ${string}`;
export type RunnerSession = 'harvest' | 'harvest-half' | 'prefix' | SuffixName;
export type SuffixName = 'losses' | 'outcomes' | 'token-outcomes' | 'last-logits';

/** Where ONNX Runtime computes; its build for a platform has some of these. */
export const DEVICES = ['cpu', 'cuda', 'webgpu', 'dml', 'coreml'] as const;
export type Device = (typeof DEVICES)[number];

/** A graph for ONNX Runtime and what to feed it. */
export interface SessionSpec {
  bytes: Uint8Array<ArrayBuffer>;
  /** Folder of the external data that the graph may name. */
  folder: string;
  threads: number;
  device: Device;
  /** Inputs of the model that the graph reads, besides tensors of other parts. */
  inputs: ModelInput[];
  /** Tensors that it takes from the parts before it, with their axes. */
  reads: ReadonlyMap<string, readonly Axis[]>;
  /** Its outputs that parts behind it take. */
  gives: readonly string[];
  /** Numbers of the hooks whose edited activations it reads. */
  edits: readonly number[];
  /** Nodes that the CPU computes, whatever the device. */
  cpuNodes: readonly string[];
  /** Where a profile of its runs goes when it is unloaded: the beginning of the file's path. */
  profile?: string;
  /** Let the runtime rewrite the graph. Off for looking at every tensor: rewriting would remove some. */
  optimize: boolean;
}

export type Op = keyof WorkerRequests;
export type RequestOf<K extends Op> = WorkerRequests[K]['request'];
export type AnswerOf<K extends Op> = WorkerRequests[K]['answer'];

/** What answers some of the requests. */
export type Handlers<K extends Op> = { [O in K]: (request: RequestOf<O>) => Promise<AnswerOf<O>> };

export interface RequestMessage {
  id: number;
  op: Op;
  request: unknown;
}

export type AnswerMessage =
  { id: number; answer: unknown } | { id: number; error: { code: ErrorCode; what: string; advice: string } };

/**
 * Memory that both threads see. Node ends a worker by throwing inside it, and a throw inside a native call
 * aborts the
 * process: so a process that exits first forbids new native calls (`STOP`) and waits until none is running
 * (`BUSY`).
 */
export const GUARD = { STOP: 0, BUSY: 1, LENGTH: 2 } as const;

/** Arrays of an answer, up to two levels deep, are handed over rather than copied; what is shared needs neither. */
export function transferList(answer: unknown, depth = 2): ArrayBuffer[] {
  if (ArrayBuffer.isView(answer)) return ownMemory(answer.buffer);
  if (depth === 0 || typeof answer !== 'object' || Array.isArray(answer)) return [];
  return Object.values(answer ?? {}).flatMap((value) => transferList(value, depth - 1));
}

/** Memory as a list of what can be handed over. */
export const ownMemory = (memory: ArrayBufferLike): ArrayBuffer[] =>
  memory instanceof ArrayBuffer ? [memory] : [];
