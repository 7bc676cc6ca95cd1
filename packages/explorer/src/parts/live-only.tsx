/** Where the page is only files: what is missing, how to have it, and what works without. */
export function LiveOnly(props: { what: string }) {
  return (
    <section class="notice">
      <h1>No model is running here</h1>
      <p>
        {props.what} needs the model. Start it beside this index with{' '}
        <code>monoseme explore INDEX --dictionary FOLDER</code> and open the page from there.
      </p>
      <p>Lists, features, the map and the search work from files alone.</p>
    </section>
  );
}
