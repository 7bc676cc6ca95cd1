import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { MonosemeError } from '../errors.ts';
import { liveApi } from './live-api.ts';
import { LiveModel, type LiveParts } from './live-model.ts';
import { LiveQueue } from './live-queue.ts';

type Env = { Bindings: HttpBindings };

/** Opens model and dictionary of a member of a collection; undefined where it has none that can be run. */
export type OpenMember = (name: string) => Promise<LiveParts | undefined>;

/** Models that are kept open: a reader goes to and fro between two. */
const MOST_OPEN = 2;

interface OpenedMember {
  readonly app: Hono<Env>;
  close(): Promise<void>;
}

/** Live endpoints of a collection's members, under `/api/of/NAME`. Models are opened when they are first asked for. */
export class MemberModels {
  readonly #open: OpenMember;
  /** One for all: only one model works at a time. */
  readonly #queue = new LiveQueue();
  readonly #members = new Map<string, { made: Promise<OpenedMember | undefined>; asked: number }>();

  constructor(open: OpenMember) {
    this.#open = open;
  }

  /** The answer to a request about a member; undefined where it has no model. */
  async respond(name: string, context: Context<Env>): Promise<Response | undefined> {
    const known = this.#members.get(name) ?? { made: this.#opened(name), asked: 0 };
    // The last one asked for is the last to be closed.
    this.#members.delete(name);
    this.#members.set(name, known);
    known.asked++;
    try {
      const member = await known.made;
      return await member?.app.fetch(context.req.raw, context.env);
    } catch (error) {
      this.#members.delete(name);
      if (error instanceof MonosemeError) return new Response(`${error.message}\n`, { status: 409 });
      throw error;
    } finally {
      known.asked--;
      this.#closeOthers();
    }
  }

  /** Close all models, when those that work have stopped. */
  async close(): Promise<void> {
    const all = [...this.#members.values()];
    this.#members.clear();
    await this.#queue.afterThose(async () => {
      for (const { made } of all) await (await made.catch(() => undefined))?.close();
    });
  }

  async #opened(name: string): Promise<OpenedMember | undefined> {
    const parts = await this.#open(name);
    if (!parts) return undefined;
    const model = new LiveModel(parts);
    const close = async () => {
      await model.close();
      await parts.runner.close();
    };
    return { app: new Hono<Env>().route(`/api/of/${name}`, liveApi(model, this.#queue)), close };
  }

  /** Models beyond those that are kept are closed once what was asked of them is done. */
  #closeOthers(): void {
    for (const [name, { made, asked }] of this.#members) {
      if (this.#members.size <= MOST_OPEN) return;
      if (asked > 0) continue;
      this.#members.delete(name);
      void this.#queue.afterThose(async () => (await made)?.close());
    }
  }
}
