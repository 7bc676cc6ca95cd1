/** A process that trains on request: one line of JSON asks, one line of JSON answers. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Settings of the caller's environment that slow a peer's BLAS or tie it to fewer threads. */
const HARMFUL = /^(OPENBLAS_|OMP_|MKL_|GOTO_|BLIS_|NVPL_BLAS_)/;

export function cleanEnvironment(extra = {}) {
  const kept = Object.entries(process.env).filter(([name]) => !HARMFUL.test(name));
  return { ...Object.fromEntries(kept), PYTHONDONTWRITEBYTECODE: '1', WANDB_MODE: 'disabled', ...extra };
}

export class RunnerProcess {
  #child;
  #lines;
  #ended;
  #stderr = '';
  /** The line it sends when it is ready. */
  ready;

  /** @throws {Error} with the end of what it wrote to stderr, when it ends before it is ready */
  static async start(command, args, environment = {}) {
    const runner = new RunnerProcess(command, args, environment);
    runner.ready = await runner.#answer();
    return runner;
  }

  constructor(command, args, environment) {
    this.#child = spawn(command, args, {
      env: cleanEnvironment(environment),
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child.stderr.on('data', (data) => (this.#stderr = (this.#stderr + data).slice(-4000)));
    this.#child.stdin.on('error', () => {});
    this.#ended = new Promise((resolve) => {
      this.#child.on('error', (error) => resolve(error.message));
      this.#child.on('close', (code, signal) => resolve(`it ended with ${signal ?? `code ${code}`}`));
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async ask(question) {
    this.#child.stdin.write(`${JSON.stringify(question)}\n`);
    return this.#answer();
  }

  async close() {
    this.#child.stdin.end();
    await this.#ended;
  }

  kill() {
    this.#child.kill('SIGKILL');
  }

  async #answer() {
    const { value, done } = await this.#lines.next();
    if (!done) return JSON.parse(value);
    const why = await this.#ended;
    throw new Error(`${lastLine(this.#stderr) || 'no message'} (${why})`);
  }
}

function lastLine(text) {
  return text.trim().split('\n').at(-1)?.trim().slice(0, 300) ?? '';
}
