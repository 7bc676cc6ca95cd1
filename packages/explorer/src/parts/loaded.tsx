import { type Accessor, type JSX, Match, Switch } from 'solid-js';
import type { Load } from '../state/load.ts';
import { ErrorNotice } from './error-notice.tsx';

/** What was read; why it could not be; or that it is on its way. What was read before stays until the next is there. */
export function Loaded<T>(props: {
  load: Load<T>;
  waiting: string;
  children: (value: Accessor<NonNullable<T>>) => JSX.Element;
}) {
  return (
    <Switch>
      <Match when={props.load.error()}>
        {(error) => <ErrorNotice error={error()} failed={[props.load]} />}
      </Match>
      <Match when={props.load.value()}>{(value) => props.children(value as Accessor<NonNullable<T>>)}</Match>
      <Match when={props.load.loading()}>
        <p class="waiting" role="status">
          {props.waiting}
        </p>
      </Match>
    </Switch>
  );
}
