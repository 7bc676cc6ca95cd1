import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import type { Collection } from '../collection/index.ts';
import { requireToken } from './access-token.ts';
import { CollectionFiles } from './collection-files.ts';
import { liveApi } from './live-api.ts';
import type { LiveModel } from './live-model.ts';
import type { MemberModels } from './member-models.ts';
import { requestPath } from './request-path.ts';
import { StaticFolder } from './static-file.ts';

/** Nothing from another host, nothing inline: text from an index can never run as code. */
const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

type Env = { Bindings: HttpBindings };

export interface ExplorerFolders {
  /** Folder of the built page. */
  readonly page: string;
  /** Folder of a feature index, or a collection of several, served under `/index/`. */
  readonly index: string | Collection;
  /** Host names that requests may carry; against other sites whose name is made to point here (DNS rebinding). */
  readonly hostNames: readonly string[];
  /** Model and dictionary for the live endpoints; without them the server only has files. */
  readonly live?: LiveModel;
  /** Models of a collection's members. */
  readonly members?: MemberModels;
  /** Asked of everybody when it is given. */
  readonly token?: string;
}

/** The application that serves the page and an index, and answers for the model where there is one. */
export function explorerApp({ page, index, hostNames, live, members, token }: ExplorerFolders): Hono<Env> {
  const pageFiles = new StaticFolder(page, (names) =>
    // The build puts a hash of the content into these names.
    names[0] === 'assets' ? 'public, max-age=31536000, immutable' : 'no-cache',
  );
  const indexFiles =
    typeof index === 'string' ? new StaticFolder(index, () => 'no-cache') : new CollectionFiles(index);
  const app = new Hono<Env>();

  app.use(async (context, next) => {
    await next();
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) context.res.headers.set(name, value);
  });
  app.use(async (context, next) => {
    if (!hostNames.includes(hostName(context.req.header('host'))))
      return context.text('This server answers only under its own name.\n', 403);
    const isQuestion =
      (live ?? members) && context.req.method === 'POST' && context.req.path.startsWith('/api/');
    if (context.req.method !== 'GET' && context.req.method !== 'HEAD' && !isQuestion)
      return context.text('Only GET and HEAD.\n', 405, { Allow: 'GET, HEAD' });
    return next();
  });
  if (token !== undefined) app.use(requireToken(token));
  if (live) app.route('/api', liveApi(live));
  app.all('/api/of/:name/*', async (context) => {
    const answer = await members?.respond(context.req.param('name'), context);
    return answer ?? context.text('There is nothing here.\n', 404);
  });
  app.all('*', async (context) => {
    // The target as it was sent: the parsed address has lost its dot segments.
    const names = requestPath(context.env.incoming.url ?? '');
    if (!names) return context.text('Not a path of this server.\n', 400);
    const [first, ...rest] = names;
    const request = {
      method: context.req.method as 'GET' | 'HEAD',
      range: context.req.header('range'),
      ifRange: context.req.header('if-range'),
      ifNoneMatch: context.req.header('if-none-match'),
      acceptEncoding: context.req.header('accept-encoding'),
    };
    const response =
      first === 'index' && rest.length > 0
        ? await indexFiles.respond(rest, request)
        : await pageFiles.respond(names.length === 0 ? ['index.html'] : names, request);
    return response ?? context.text('There is nothing here.\n', 404);
  });
  app.onError((_error, context: Context) => context.text('The file could not be read.\n', 500));
  return app;
}

/** The name in a Host header without its port; empty when there is none. */
function hostName(header: string | undefined): string {
  return (header ?? '').toLowerCase().replace(/:\d{1,5}$/, '');
}
