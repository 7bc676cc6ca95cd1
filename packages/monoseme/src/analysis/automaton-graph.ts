import type { AutomatonSystem } from './automata.ts';
import { latentGraph, latentNode, NODE_RADIUS, type Point, ringOf, round } from './latent-graph.ts';

const ARROW =
  '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z" fill="var(--p0)"/></marker></defs>';

/**
 * A system as an SVG graph: latents on a circle, steps as arrows with their probability, steps to oneself as loops.
 *
 * @param label what to write into a latent's circle, besides its number
 */
export function automatonGraph(
  { latents, edges }: AutomatonSystem,
  label: (latent: number) => string,
): string {
  const { places, reach } = ringOf(latents);
  const arrows = edges.map(({ from, to, probability }) => {
    const path = from === to ? loop(places.get(from)!) : arrow(places.get(from)!, places.get(to)!);
    const percent = `${Math.round(100 * probability)} %`;
    return `<path d="${path.d}" fill="none" stroke="var(--p0)" stroke-width="${1 + 3 * probability}" marker-end="url(#arrow)"/><text x="${path.x}" y="${path.y}" text-anchor="middle">${percent}</text>`;
  });
  const nodes = latents.map((latent) => latentNode(latent, places.get(latent)!, label(latent)));
  const title = `Automaton of ${latents.length === 1 ? 'latent' : 'latents'} ${latents.join(', ')}`;
  return latentGraph(title, reach, [ARROW, ...arrows, ...nodes]);
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
function loop({ x, y }: Point): Point & { d: string } {
  const away = Math.hypot(x, y) < 1 ? -Math.PI / 2 : Math.atan2(y, x);
  const at = (angle: number, radius: number) =>
    `${round(x + radius * Math.cos(angle))} ${round(y + radius * Math.sin(angle))}`;
  const d = `M${at(away - 0.5, NODE_RADIUS)}C${at(away - 0.6, 68)} ${at(away + 0.6, 68)} ${at(away + 0.5, NODE_RADIUS)}`;
  return { d, x: round(x + 58 * Math.cos(away)), y: round(y + 58 * Math.sin(away) + 4) };
}
