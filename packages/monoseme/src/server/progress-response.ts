import type { Progress } from './live-queue.ts';

/**
 * An answer in lines of JSON: where the request stands while it waits and is worked on, at last `answer` or `error`.
 *
 * @param run may throw at once, before anything is answered
 * @param describe what is said of a failure
 */
export function progressResponse(
  run: (tell: (progress: Progress) => void) => Promise<object>,
  describe: (error: unknown) => object,
): Response {
  const encoder = new TextEncoder();
  let stream: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => void (stream = controller),
    cancel: () => void (stream = undefined),
  });
  const send = (line: object) => stream?.enqueue(encoder.encode(`${JSON.stringify(line)}\n`));
  run(send)
    .then((answer) => send({ answer }))
    .catch((error: unknown) => send(describe(error)))
    .then(
      () => stream?.close(),
      (error: unknown) => stream?.error(error),
    );
  return new Response(body, { headers: { 'Content-Type': 'application/x-ndjson' } });
}
