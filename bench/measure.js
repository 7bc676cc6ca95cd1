/** What every measurement shares: summaries, the table, the JSON lines, and what machine it ran on. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';

/** Minimum, median and maximum. Of an even number of values the median is the mean of the middle two. */
export function summarize(values) {
  const sorted = Float64Array.from(values).sort();
  const middle = (sorted.length - 1) / 2;
  return {
    min: sorted[0],
    median: (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2,
    max: sorted[sorted.length - 1],
  };
}

/** One line of `--json`. */
export function jsonLine(bench, case_, contestant, metric, unit, { min, median, max }) {
  return JSON.stringify({ bench, case: case_, contestant, metric, unit, min, median, max });
}

/** Machine, load and commit, one line each. */
export function environment() {
  const git = (...args) => {
    try {
      return execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    } catch {
      return '';
    }
  };
  const commit = git('rev-parse', '--short', 'HEAD') || 'unknown';
  return {
    machine: `${cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    load: loadavg()
      .map((load) => load.toFixed(1))
      .join(' '),
    commit: git('status', '--porcelain') ? `${commit} with changes` : commit,
    node: process.version,
  };
}

export function environmentText() {
  return Object.entries(environment())
    .map(([key, value]) => `${key.padEnd(8)} ${value}`)
    .join('\n');
}

/** Most resident memory that this process has had, in bytes. */
export function peakMemory() {
  // Not getrusage alone: on Linux it starts with the memory of the process that forked this one.
  return statusBytes('VmHWM') ?? process.resourceUsage().maxRSS * 1024;
}

/** Resident memory now, in bytes. */
export function residentMemory() {
  return statusBytes('VmRSS') ?? process.memoryUsage().rss;
}

function statusBytes(key) {
  try {
    const match = readFileSync('/proc/self/status', 'utf8').match(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm'));
    return match ? Number(match[1]) * 1024 : undefined;
  } catch {
    return undefined;
  }
}

/** Rows as aligned columns; all but the first column to the right. */
export function table(header, rows) {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  const line = (row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))
      .join('  ')
      .trimEnd();
  return [line(header), ...rows.map(line)].join('\n');
}

/** `1234567` → `1,234,567` */
export function grouped(value) {
  return Math.round(value).toLocaleString('en');
}

export function mebibytes(bytes) {
  return grouped(bytes / 2 ** 20);
}
