import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Mark, plot, type PlotSpec, smallMultiples } from './index.ts';

function spec(marks: readonly Mark[], changes: Partial<PlotSpec> = {}): PlotSpec {
  return { title: 'A plot', x: { label: 'across' }, y: { label: 'up' }, marks, ...changes };
}

/** Every opened element is closed in order, and attributes are quoted: what an XML reader insists on. */
function expectWellFormed(svg: string): void {
  const open: string[] = [];
  for (const [, closing, tag, rest, selfClosing] of svg.matchAll(
    /<(\/?)([a-z]+)((?:\s[\w:-]+="[^"<]*")*)(\/?)>/g,
  )) {
    if (closing) assert.equal(open.pop(), tag);
    else if (!selfClosing) open.push(tag);
    assert.doesNotMatch(rest, /NaN|Infinity|undefined/);
  }
  assert.deepEqual(open, []);
  // What is left between the elements holds no stray bracket.
  assert.doesNotMatch(svg.replace(/<\/?[a-z]+(?:\s[\w:-]+="[^"<]*")*\/?>/g, ''), /[<>]/);
}

const attribute = (svg: string, pattern: RegExp) =>
  [...svg.matchAll(pattern)].map((match) => match.slice(1).map(Number));

test('points stand where their values say', () => {
  const svg = plot(
    spec([{ kind: 'points', x: [0, 10], y: [0, 1], titles: ['a', 'b'] }], {
      x: { label: 'x', domain: [0, 10] },
      y: { label: 'y', domain: [0, 1] },
    }),
  );
  expectWellFormed(svg);
  const [[x0, y0], [x1, y1]] = attribute(svg, /<circle cx="([\d.]+)" cy="([\d.]+)"/g);
  assert.equal(x1, 480 - 16);
  assert.equal(y1, 30);
  assert.equal(y0, 300 - 42);
  assert.ok(x0 < 70);
});

test('a logarithmic axis of less than two decades has 1, 2 and 5 of each, and ends there', () => {
  const svg = plot(spec([{ kind: 'points', x: [13, 185], y: [0, 1] }], { x: { label: 'L0', scale: 'log' } }));
  for (const label of [10, 20, 50, 100, 200]) assert.ok(svg.includes(`>${label}</text>`), String(label));
  assert.ok(!svg.includes('>500</text>'));
});

test('a logarithmic axis has powers of ten, equal decades, and leaves out what is not positive', () => {
  const x = [1e-6, 1e-4, 1e-2, 0, -1];
  const svg = plot(
    spec([{ kind: 'points', x, y: [1, 2, 3, 4, 5], titles: ['', '', '', '', ''] }], {
      x: { label: 'density', scale: 'log' },
    }),
  );
  const [[a], [b], [c], ...more] = attribute(svg, /<circle cx="([\d.]+)"/g);
  assert.equal(more.length, 0);
  assert.ok(Math.abs(b - a - (c - b)) < 0.02);
  assert.match(svg, />1e−6</);
  assert.match(svg, /2 values not shown/);
});

test('a line breaks where a value is missing', () => {
  const svg = plot(spec([{ kind: 'line', name: 'loss', x: [0, 1, 2, 3, 4], y: [1, 2, NaN, 2, 1] }]));
  expectWellFormed(svg);
  const path = /<path d="([^"]+)" fill="none" stroke="var\(--p0\)"/.exec(svg)![1];
  assert.equal(path.match(/M/g)!.length, 2);
  assert.match(svg, /1 value not shown/);
});

test('histograms stand on each other: the second box ends where the sum says', () => {
  const edges = [0, 1, 2];
  const svg = plot(
    spec(
      [
        { kind: 'histogram', name: 'in', edges, counts: [1, 3] },
        { kind: 'histogram', name: 'out', edges, counts: [3, 1] },
      ],
      { y: { label: 'n', domain: [0, 4] } },
    ),
  );
  const boxes = attribute(
    svg,
    /<rect x="[\d.]+" y="([\d.]+)" width="[\d.]+" height="([\d.]+)" fill="var\(--p[01]\)"/g,
  );
  assert.equal(boxes.length, 4);
  const [lower, , upper] = boxes;
  assert.ok(Math.abs(upper[0] + upper[1] - lower[0]) < 0.02, 'no gap between the two');
  assert.ok(Math.abs(upper[1] - 3 * lower[1]) < 0.05);
});

test('bars stand beside their names and share a category', () => {
  const svg = plot(
    spec(
      [
        { kind: 'bars', name: 'latent', values: [0.9, 0.5], low: [0.8, 0.4], high: [1, 0.6] },
        { kind: 'bars', name: 'neuron', values: [0.2, -0.1] },
      ],
      { y: { label: '', categories: ['Arabic', 'base64 <raw>'] } },
    ),
  );
  expectWellFormed(svg);
  assert.match(svg, />base64 &lt;raw&gt;</);
  const bars = attribute(
    svg,
    /<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="[\d.]+" fill="var\(--p/g,
  );
  assert.equal(bars.length, 4);
  assert.ok(
    bars[2][1] > bars[0][1] && bars[2][1] < bars[1][1],
    'the second series within the first category',
  );
  assert.ok(bars[3][0] < bars[2][0], 'a negative bar goes left of zero');
});

test('many points take a bounded number of bytes', () => {
  const n = 100_000;
  const x = Float64Array.from({ length: n }, (_, i) => Math.sin(i));
  const svg = plot(spec([{ kind: 'points', x, y: x.map((_, i) => Math.cos(3 * i)) }]));
  assert.ok(svg.length < 5_000_000, `${svg.length} bytes`);
});

test('without data the plot says so', () => {
  assert.match(plot(spec([{ kind: 'points', x: [], y: [] }])), />no data</);
  assert.match(plot(spec([])), />no data</);
});

test('small multiples share their axes when asked', () => {
  const specs = [1, 10].map((top) => spec([{ kind: 'points', x: [0, 1], y: [0, top], titles: ['a', 'b'] }]));
  const tops = (svg: string) => attribute(svg, /cy="([\d.]+)"/g).map(([top]) => top);
  const free = tops(smallMultiples('Runs', specs));
  const shared = tops(smallMultiples('Runs', specs, { sharedAxes: true }));
  assert.equal(free[1], free[3]);
  assert.ok(shared[1] > shared[3]);
  expectWellFormed(smallMultiples('Runs', specs, { columns: 1 }));
});

test('the outermost values that an axis can show have ticks beyond them', () => {
  for (const [value, scale] of [
    [1e-280, 'log'],
    [1e300, 'log'],
    [1e300, 'linear'],
    [-1e300, 'linear'],
  ] as const) {
    const axis = { label: '', scale };
    const svg = plot(spec([{ kind: 'points', x: [value], y: [value] }], { x: axis, y: axis }));
    expectWellFormed(svg);
    assert.doesNotMatch(svg, /not shown/);
  }
});

test('any numbers and any text give well-formed SVG, the same each time', () => {
  const numbers = fc.array(fc.double(), { maxLength: 20 });
  fc.assert(
    fc.property(numbers, numbers, fc.string({ unit: 'binary' }), fc.boolean(), (x, y, name, log) => {
      const scale = log ? 'log' : 'linear';
      const drawn = spec(
        [
          { kind: 'points', name, x, y },
          { kind: 'line', name: 'line', x, y },
          { kind: 'rule', x: 1 },
        ],
        {
          title: name,
          x: { label: name, scale },
          y: { label: 'y', scale },
        },
      );
      const svg = plot(drawn);
      expectWellFormed(svg);
      assert.equal(svg, plot(drawn));
    }),
    { numRuns: 200 },
  );
});
