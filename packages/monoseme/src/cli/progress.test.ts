import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compact, duration, Stage } from './progress.ts';

test('numbers are rounded before their unit is chosen', () => {
  const numbers = [0, 0.12345, 12.345, 100.4, 999.4, 999.6, 1234567, 999_936, -2500, 1e12];
  const texts = ['0', '0.123', '12.3', '100', '999', '1.00 k', '1.23 M', '1.00 M', '-2.50 k', '1.00 T'];
  assert.deepEqual(numbers.map(compact), texts);
});

test('the time left does not count what came before the first step', () => {
  const lines: string[] = [];
  let now = 0;
  const write = (text: string) => lines.push(text.replace('\r\u001b[2K', ''));
  const stage = new Stage({ isTerminal: true, columns: 80, write, now: () => now }, 'train', 'steps');
  for (const [done, at] of [
    [0, 1],
    [1, 10],
    [11, 11],
    [1, 12],
  ]) {
    now = at * 1000;
    stage.update(done, 101);
  }
  assert.match(lines[1], /0\.1 steps\/s · 16 min 40 s left$/);
  assert.match(lines[3], / 0 steps\/s · … left$/);
  assert.match(lines[2], /10 steps\/s · 9\.0 s left$/);
});

test('durations have the two units that tell most', () => {
  const seconds = [8, 12.4, 125, 7300, 259_199, 400_000, Infinity];
  const texts = ['8.0 s', '12 s', '2 min 5 s', '2 h 1 min', '71 h 59 min', '4 d 15 h', '…'];
  assert.deepEqual(seconds.map(duration), texts);
});

test('on a terminal a line never is wider than that, and the bar takes what the text leaves', () => {
  for (const columns of [20, 60, 80, 120]) {
    const lines: string[] = [];
    let now = 0;
    const write = (text: string) => lines.push(text.replace('\r\u001b[2K', ''));
    const stage = new Stage(
      { isTerminal: true, columns, write, now: () => (now += 1000) },
      'train',
      'tokens',
    );
    stage.update(40_000, 100_000, 'L0 439.2, 58.7 % explained');
    assert.ok(lines[0].length < columns, lines[0]);
    assert.equal(/━+─+ /.test(lines[0]), columns >= 80, lines[0]);
    if (columns >= 80) assert.ok(lines[0].endsWith('L0 439.2, 58.7 % explained'), lines[0]);
  }
});
