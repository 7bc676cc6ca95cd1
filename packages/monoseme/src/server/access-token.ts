import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';

const COOKIE = 'monoseme_token';

/** A token for one run of a server that others can reach. */
export function newAccessToken(): string {
  return randomBytes(18).toString('base64url');
}

/**
 * Let in only who has the token: in the address (`?token=`), which is how a browser comes first and then keeps it as
 * a cookie, or as `Authorization: Bearer`.
 */
export function requireToken(token: string): MiddlewareHandler {
  return async (context, next) => {
    const bearer = /^Bearer (\S{1,200})$/.exec(context.req.header('authorization') ?? '')?.[1];
    const inAddress = context.req.query('token');
    const given = bearer ?? inAddress ?? getCookie(context, COOKIE) ?? '';
    if (!isSame(given, token))
      return context.text('This server asks for its token: open the address that it printed.\n', 401);
    await next();
    if (inAddress !== undefined)
      setCookie(context, COOKIE, token, { httpOnly: true, sameSite: 'Strict', path: '/' });
  };
}

function isSame(given: string, token: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}
