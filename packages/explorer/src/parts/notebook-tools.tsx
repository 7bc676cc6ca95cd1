import { createSignal, Show } from 'solid-js';
import { addNotebookFile, notebook, notebookFile } from '../state/notebook.ts';
import { freshListHref } from '../state/route.ts';
import { saveFile } from './save.ts';

/** A file of notes is small; what is larger is something else. */
const LARGEST_FILE = 2 ** 24;

/** The starred features, and the notes as a file: to keep, to pass on, to merge. */
export function NotebookTools() {
  const [problem, setProblem] = createSignal<string>();
  let picker!: HTMLInputElement;
  const isEmpty = () => notebook().stars.length === 0 && Object.keys(notebook().notes).length === 0;
  const add = async (file: File | undefined) => {
    if (!file) return;
    const tooLarge = file.size > LARGEST_FILE ? 'The file is too large to be one of notes.' : undefined;
    setProblem(tooLarge ?? addNotebookFile(await file.text()));
    picker.value = '';
  };
  return (
    <span class="notebook-tools">
      <Show when={notebook().stars.length > 0}>
        <a class="quiet" href={freshListHref({ starred: true })}>
          {notebook().stars.length} starred
        </a>
      </Show>
      <Show when={!isEmpty()}>
        <button
          type="button"
          class="text"
          onClick={() => saveFile('notes.json', 'application/json', notebookFile())}
        >
          save notes
        </button>
      </Show>
      <button type="button" class="text" onClick={() => picker.click()}>
        add notes
      </button>
      <input
        ref={picker}
        type="file"
        accept="application/json"
        hidden
        aria-label="File of notes"
        onChange={(event) => void add(event.currentTarget.files?.[0])}
      />
      <Show when={problem()}>
        <span role="alert">{problem()}</span>
      </Show>
    </span>
  );
}
