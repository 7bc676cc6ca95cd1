import type { IndexError } from '../data/index-error.ts';

/** What went wrong, and what to do about it. */
export function ErrorNotice(props: { error: IndexError }) {
  return (
    <section class="notice" role="alert">
      <h1>{props.error.title}</h1>
      <p>{props.error.message}</p>
      <p>{props.error.advice}</p>
    </section>
  );
}
