import { Show } from 'solid-js';
import type { LiveProgress as Progress } from '../data/live.ts';
import { count } from '../data/format.ts';

/** What the model is at: who is before this reader, then how much of the work is done. */
export function LiveProgress(props: { what: string; progress: Progress | undefined }) {
  const told = () => {
    const { progress } = props;
    if (progress === undefined) return '';
    if ('total' in progress)
      return progress.total > 0 ? `${Math.floor((100 * progress.done) / progress.total)} %` : '';
    return progress.waiting > 0 ? `after ${count(progress.waiting)} before it` : '';
  };
  const share = () => {
    const { progress } = props;
    return progress && 'total' in progress && progress.total > 0 ? progress.done / progress.total : undefined;
  };
  return (
    <div class="live-progress">
      <p role="status" class="faint">
        {props.what}
        {told() === '' ? '…' : `: ${told()}`}
      </p>
      <Show when={share() !== undefined}>
        <progress value={share()} aria-label={props.what} />
      </Show>
    </div>
  );
}
