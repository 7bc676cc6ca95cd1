/** Seconds between two lines where there is no terminal to redraw. */
const PLAIN_INTERVAL_MS = 10_000;
const REDRAW_INTERVAL_MS = 100;
const WIDEST_BAR = 24;

/** Where progress goes and what time it is; passed in, so that tests can hold both. */
export interface ProgressOutput {
  readonly isTerminal: boolean;
  readonly columns: number;
  write(text: string): void;
  now(): number;
}

/** The error stream of this process. */
export function standardProgress(): ProgressOutput {
  const { stderr } = process;
  return {
    isTerminal: stderr.isTTY === true,
    columns: stderr.columns ?? 80,
    write: (text) => void stderr.write(text),
    now: () => performance.now(),
  };
}

/**
 * The progress of one stage: a bar redrawn in place on a terminal, a plain line every ten seconds elsewhere, with
 * rate and time left.
 */
export class Stage {
  readonly #output: ProgressOutput;
  readonly #name: string;
  readonly #unit: string;
  readonly #started: number;
  #lastShown: number;
  #done = 0;
  /** From where the rate counts: the start, and once there is an update that one, since what comes before is preparation. */
  #from: { readonly done: number; readonly at: number };

  constructor(output: ProgressOutput, name: string, unit: string) {
    this.#output = output;
    this.#name = name;
    this.#unit = unit;
    this.#started = output.now();
    this.#from = { done: 0, at: this.#started };
    this.#lastShown = output.isTerminal ? -Infinity : this.#started;
  }

  /** Start the count at `done` (a resumed run): the rate counts only what this process does. */
  startAt(done: number): void {
    this.#from = { done, at: this.#started };
  }

  update(done: number, total: number, note = ''): void {
    const isFirst = this.#done === 0 && done > 0;
    this.#done = done;
    const now = this.#output.now();
    // As for the next of several files.
    if (done < this.#from.done) this.#from = { done, at: now };
    const isDue = now - this.#lastShown >= (this.#output.isTerminal ? REDRAW_INTERVAL_MS : PLAIN_INTERVAL_MS);
    if (isDue) {
      this.#lastShown = now;
      this.#show(this.#line(done, total, note, (now - this.#from.at) / 1000));
    }
    if (isFirst) this.#from = { done, at: now };
  }

  /** End the stage with a line that stays. */
  finish(summary: string): void {
    const seconds = (this.#output.now() - this.#started) / 1000;
    const clear = this.#output.isTerminal ? '\r\u001b[2K' : '';
    this.#output.write(`${clear}${this.#name.padEnd(10)} ${summary}  ${duration(seconds)}\n`);
  }

  /** Remove the unfinished bar (before an error is printed). */
  abandon(): void {
    if (this.#output.isTerminal && this.#lastShown > -Infinity) this.#output.write('\r\u001b[2K');
  }

  #line(done: number, total: number, note: string, seconds: number): string {
    const rate = (done - this.#from.done) / Math.max(seconds, 1e-3);
    const left = rate > 0 ? duration((total - done) / rate) : '…';
    const share = total > 0 ? Math.min(1, done / total) : 0;
    const percent = `${Math.floor(share * 100)} %`.padStart(5);
    const parts = [`${compact(rate)} ${this.#unit}/s`, `${left} left`, note].filter(Boolean);
    const text = `${percent}  ${parts.join(' · ')}`;
    return `${this.#name.padEnd(10)} ${this.#bar(share, text.length)}${text}`;
  }

  /** A bar as wide as the text leaves room for beside the name; none elsewhere than on a terminal. */
  #bar(share: number, textWidth: number): string {
    const room = this.#output.columns - 1 - 11 - textWidth - 1;
    if (!this.#output.isTerminal || room < 1) return '';
    const width = Math.min(WIDEST_BAR, room);
    const filled = Math.round(share * width);
    return `${'━'.repeat(filled)}${'─'.repeat(width - filled)} `;
  }

  #show(line: string): void {
    if (!this.#output.isTerminal) this.#output.write(`${line}\n`);
    else this.#output.write(`\r\u001b[2K${line.slice(0, this.#output.columns - 1)}`);
  }
}

/** 1234567 → `1.23 M`; three significant digits. */
export function compact(value: number): string {
  const rounded = Number(value.toPrecision(3));
  for (const [size, suffix] of [
    [1e12, ' T'],
    [1e9, ' G'],
    [1e6, ' M'],
    [1e3, ' k'],
  ] as const) {
    if (Math.abs(rounded) >= size) return `${(rounded / size).toPrecision(3)}${suffix}`;
  }
  return String(rounded);
}

/** 8 → `8 s`, 125 → `2 min 5 s`, 7300 → `2 h 2 min`, 400,000 → `4 d 15 h`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '…';
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const hours = Math.floor(whole / 3600);
  if (hours < 72) return `${hours} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
