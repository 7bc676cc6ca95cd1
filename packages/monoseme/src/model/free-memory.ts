import { MessageChannel } from 'node:worker_threads';

/** A port that nobody reads: what is handed to it is dropped, once its other end is closed in the next turn of the event loop. */
const { port1: nowhere, port2 } = new MessageChannel();
port2.close();

/**
 * Free the memory of arrays at once, not when garbage is collected; they are empty afterwards. What is made anew for every run
 * of a model would else pile up to tens of MiB between two collections.
 *
 * @param arrays no two of the same memory
 */
export function free_(arrays: readonly ArrayBufferView[]): void {
  nowhere.postMessage(
    null,
    arrays.map(({ buffer }) => buffer as ArrayBuffer),
  );
}
