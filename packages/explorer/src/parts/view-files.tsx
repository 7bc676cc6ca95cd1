import { Show } from 'solid-js';
import { drawnSvg } from '../data/drawn-svg.ts';
import { saveFile } from './save.ts';

/** What a view shows, as files: its figures as JSON, its picture as SVG. */
export function ViewFiles(props: {
  /** Of the files, without its ending. */
  name: string;
  json: () => object;
  /** Selectors of the picture, where there is one, and of what is written over or beside it. */
  picture?: string;
  labels?: string;
}) {
  const saveJson = () =>
    saveFile(`${props.name}.json`, 'application/json', `${JSON.stringify(props.json(), undefined, 1)}\n`);
  const saveSvg = () => {
    const picture = document.querySelector<SVGSVGElement>(props.picture!);
    const labels = props.labels === undefined ? [] : document.querySelectorAll(props.labels);
    if (picture) saveFile(`${props.name}.svg`, 'image/svg+xml', drawnSvg(picture, labels));
  };
  return (
    <span class="view-files">
      <button type="button" class="text" title="What is shown, as JSON" onClick={saveJson}>
        JSON
      </button>
      <Show when={props.picture !== undefined}>
        <button type="button" class="text" title="The picture, as SVG" onClick={saveSvg}>
          SVG
        </button>
      </Show>
    </span>
  );
}
