import { escapeHtml } from '../report/index.ts';

export const NODE_RADIUS = 30;
/** Room that a circle of latents leaves around itself, for loops and labels. */
const MARGIN = 2 * NODE_RADIUS + 24;

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Latents on a circle about (0, 0), clockwise from the top. */
export interface Ring {
  readonly places: ReadonlyMap<number, Point>;
  /** Half the width of the square that the circle needs. */
  readonly reach: number;
}

export function ringOf(latents: readonly number[]): Ring {
  const n = latents.length;
  const radius = n === 1 ? 0 : Math.max(90, (n * 95) / (2 * Math.PI));
  const places = new Map(
    latents.map((latent, i) => {
      const angle = (2 * Math.PI * i) / n - Math.PI / 2;
      return [latent, { x: radius * Math.cos(angle), y: radius * Math.sin(angle) }];
    }),
  );
  return { places, reach: radius + MARGIN };
}

/** A latent as a circle that holds its number and a word, such as the token it fires on most. */
export function latentNode(latent: number, { x, y }: Point, label: string): string {
  const word = escapeHtml(label.slice(0, 8)).replace(/\p{Cc}/gu, '·');
  return `<circle cx="${round(x)}" cy="${round(y)}" r="${NODE_RADIUS}" fill="var(--ground)" stroke="var(--ink)"/><text x="${round(x)}" y="${round(y - 2)}" text-anchor="middle">${latent}</text><text x="${round(x)}" y="${round(y + 12)}" text-anchor="middle">${word}</text>`;
}

/** A drawing about (0, 0) as an SVG document in the colours of the reader's scheme. */
export function latentGraph(title: string, reach: number, parts: readonly string[]): string {
  const size = round(2 * reach);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="mono-graph" role="img" width="${size}" height="${size}" viewBox="${round(-reach)} ${round(-reach)} ${size} ${size}">`,
    `<title>${escapeHtml(title)}</title><style>.mono-graph{--p0:#0060a8;--ink:#1b1b1b;--ground:#fff;font:11px system-ui,sans-serif}@media (prefers-color-scheme:dark){.mono-graph{--p0:#64b5f6;--ink:#e6e6e6;--ground:#17181a}}.mono-graph text{fill:var(--ink)}</style>`,
    ...parts,
    '</svg>',
  ].join('');
}

/** A coordinate as it is written. */
export const round = (value: number): number => Math.round(value * 10) / 10;
