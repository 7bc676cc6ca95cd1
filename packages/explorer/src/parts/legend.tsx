import { figure } from '../data/format.ts';

/** The one colour scale of the page. */
export function Legend(props: { max: number }) {
  return (
    <div class="legend" role="img" aria-label={`Colour scale: activation from 0 to ${figure(props.max)}`}>
      <span aria-hidden="true">0</span>
      <span class="ramp" aria-hidden="true" />
      <span aria-hidden="true">{figure(props.max)}</span>
    </div>
  );
}
