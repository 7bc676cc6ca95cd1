import type { AutomatonSystem } from './automata.ts';

const NODE_RADIUS = 30;
const escape = (text: string) =>
  text.replace(/[<>&"]/g, (character) => `&#${character.charCodeAt(0)};`).replace(/\p{Cc}/gu, '·');

/**
 * A system as an SVG graph: latents on a circle, steps as arrows with their probability, steps to oneself as loops.
 *
 * @param label what to write into a latent's circle, besides its number
 */
export function automatonGraph(system: AutomatonSystem, label: (latent: number) => string): string {
  const n = system.latents.length;
  const ring = n === 1 ? 0 : Math.max(90, (n * 95) / (2 * Math.PI));
  const size = 2 * (ring + 2 * NODE_RADIUS + 24);
  const place = new Map(
    system.latents.map((latent, i) => {
      const angle = (2 * Math.PI * i) / n - Math.PI / 2;
      return [latent, { x: size / 2 + ring * Math.cos(angle), y: size / 2 + ring * Math.sin(angle) }];
    }),
  );
  const title = `Automaton of ${n === 1 ? 'latent' : 'latents'} ${system.latents.join(', ')}`;
  const edges = system.edges.map(({ from, to, probability }) => {
    const path = from === to ? loop(place.get(from)!, size) : arrow(place.get(from)!, place.get(to)!);
    const percent = `${Math.round(100 * probability)} %`;
    return `<path d="${path.d}" fill="none" stroke="var(--p0)" stroke-width="${1 + 3 * probability}" marker-end="url(#arrow)"/><text x="${path.x}" y="${path.y}" text-anchor="middle">${percent}</text>`;
  });
  const nodes = system.latents.map((latent) => {
    const { x, y } = place.get(latent)!;
    return `<circle cx="${round(x)}" cy="${round(y)}" r="${NODE_RADIUS}" fill="var(--ground)" stroke="var(--ink)"/><text x="${round(x)}" y="${round(y - 2)}" text-anchor="middle">${latent}</text><text x="${round(x)}" y="${round(y + 12)}" text-anchor="middle">${escape(label(latent).slice(0, 8))}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="mono-graph" role="img" width="${round(size)}" height="${round(size)}" viewBox="0 0 ${round(size)} ${round(size)}">`,
    `<title>${title}</title><style>.mono-graph{--p0:#0060a8;--ink:#1b1b1b;--ground:#fff;font:11px system-ui,sans-serif}@media (prefers-color-scheme:dark){.mono-graph{--p0:#64b5f6;--ink:#e6e6e6;--ground:#17181a}}.mono-graph text{fill:var(--ink)}</style>`,
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z" fill="var(--p0)"/></marker></defs>',
    ...edges,
    ...nodes,
    '</svg>',
  ].join('');
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** A curve that leaves room for the way back, and where its label stands. */
function arrow(from: Point, to: Point): Point & { d: string } {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = Math.hypot(dx, dy);
  const [ux, uy] = [dx / length, dy / length];
  const middle = { x: (from.x + to.x) / 2 - 22 * uy, y: (from.y + to.y) / 2 + 22 * ux };
  const start = towards(from, middle);
  const end = towards(to, middle);
  const d = `M${round(start.x)} ${round(start.y)}Q${round(middle.x)} ${round(middle.y)} ${round(end.x)} ${round(end.y)}`;
  return { d, x: round(middle.x - 6 * uy), y: round(middle.y + 6 * ux + 4) };
}

/** The point of a circle's edge on the way to another point. */
function towards(centre: Point, other: Point): Point {
  const length = Math.hypot(other.x - centre.x, other.y - centre.y);
  const share = NODE_RADIUS / length;
  return { x: centre.x + (other.x - centre.x) * share, y: centre.y + (other.y - centre.y) * share };
}

/** A loop on the side away from the middle of the picture. */
function loop({ x, y }: Point, size: number): Point & { d: string } {
  const away =
    Math.hypot(x - size / 2, y - size / 2) < 1 ? -Math.PI / 2 : Math.atan2(y - size / 2, x - size / 2);
  const at = (angle: number, radius: number) =>
    `${round(x + radius * Math.cos(angle))} ${round(y + radius * Math.sin(angle))}`;
  const d = `M${at(away - 0.5, NODE_RADIUS)}C${at(away - 0.6, 68)} ${at(away + 0.6, 68)} ${at(away + 0.5, NODE_RADIUS)}`;
  return { d, x: round(x + 58 * Math.cos(away)), y: round(y + 58 * Math.sin(away) + 4) };
}

const round = (value: number) => Math.round(value * 10) / 10;
