/**
 * The one-to-one matching of rows to columns of largest total weight: shortest augmenting paths with potentials (Jonker
 * and Volgenant 1987, in the form of Crouse 2016 for matrices that are not square).
 *
 * @param weights [nRows, nColumns], nRows ≤ nColumns
 * @returns the column of every row, [nRows]. Cost O(nRows² · nColumns) at worst.
 */
export function largestMatching(weights: Float32Array, nRows: number, nColumns: number): Int32Array {
  const columnOfRow = new Int32Array(nRows).fill(-1);
  const rowOfColumn = new Int32Array(nColumns).fill(-1);
  const rowPotential = new Float64Array(nRows);
  const columnPotential = new Float64Array(nColumns);
  for (let start = 0; start < nRows; start++) {
    const shortest = new Float64Array(nColumns).fill(Infinity);
    const previousRow = new Int32Array(nColumns);
    const open = Uint32Array.from({ length: nColumns }, (_, column) => column);
    const closed: number[] = [];
    let nOpen = nColumns;
    let length = 0;
    let row = start;
    let last = -1;
    while (last < 0) {
      let nearest = 0;
      for (let place = 0; place < nOpen; place++) {
        const column = open[place];
        // Costs are −weights.
        const cost = -weights[row * nColumns + column] - rowPotential[row] - columnPotential[column];
        if (length + cost < shortest[column]) {
          shortest[column] = length + cost;
          previousRow[column] = row;
        }
        const best = shortest[open[nearest]];
        const isFree = rowOfColumn[column] < 0;
        if (shortest[column] < best || (shortest[column] === best && isFree)) nearest = place;
      }
      const column = open[nearest];
      length = shortest[column];
      open[nearest] = open[--nOpen];
      if (rowOfColumn[column] < 0) last = column;
      else {
        closed.push(column);
        row = rowOfColumn[column];
      }
    }
    rowPotential[start] += length;
    for (const column of closed) {
      rowPotential[rowOfColumn[column]] += length - shortest[column];
      columnPotential[column] -= length - shortest[column];
    }
    for (let column = last; ;) {
      const from = previousRow[column];
      rowOfColumn[column] = from;
      const next = columnOfRow[from];
      columnOfRow[from] = column;
      if (from === start) break;
      column = next;
    }
  }
  return columnOfRow;
}
