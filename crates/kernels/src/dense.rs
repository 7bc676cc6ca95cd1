//! Tiles of a sparse matrix that hold so many pairs that multiplying all of the tile is faster than pair by pair: early
//! in a run of ReLU half of all latents fire. The tiles are those of [`crate::traversal`], lines × rows of the dense
//! matrix, and the arithmetic is the micro-kernel of `encode`.

use crate::encode::micro_kernel::{Start, multiply_tile};
use crate::encode::panels::Panels;
use crate::instruction_set::InstructionSet;
use crate::lanes::{Kernel, Lanes, MAX_WIDTH};
use crate::on_lines::{LINE, OnLines};
use crate::traversal::Tile;
use std::cell::RefCell;
use std::ops::Range;

/// Vectors of columns, or of lines, in a micro-tile at most.
const MAX_VECTORS: usize = 3;
/// Rows of a micro-tile at most.
const MAX_ROWS: usize = 8;
/// Rows ahead whose columns are fetched, a cache line of so many floats at a time.
const AHEAD: usize = 16;

/// Buffers of one thread.
#[derive(Default)]
struct Scratch {
    /// Factors of a tile, `[lines][rows]`, 0 where there is no pair.
    factors: Vec<f32>,
    /// Some columns of the rows of a tile, `[rows][columns]`.
    columns: OnLines,
    panels: Panels,
    /// All products of a tile: group by group of rows, in it panel by panel of lines, in it `[row][line]`.
    products: OnLines,
}

thread_local! {
    /// A thread of the pool keeps its buffers from call to call.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// out += factors · matrix over one tile. The chains of multiply-adds are those of the pairs one by one, with products
/// of 0 between them: the sums are the same bits.
pub struct AddTile<'a, F> {
    pub tile: &'a Tile<'a>,
    /// The factor of a pair.
    pub factor: F,
    /// `[.., width]`
    pub matrix: &'a [f32],
    /// `[lines of the block, width]`
    pub out: &'a mut [f32],
}

impl<F: Fn(usize) -> f32> AddTile<'_, F> {
    fn fill(&self, factors: &mut Vec<f32>) {
        let depth = self.tile.rows.len();
        factors.clear();
        factors.resize(self.tile.parts.len() * depth, 0.0);
        for (line, factors) in self.tile.parts.iter().zip(factors.chunks_exact_mut(depth)) {
            for pair in line.clone() {
                factors[self.tile.row_of(pair) - self.tile.rows.start] += (self.factor)(pair);
            }
        }
    }
}

/// A task with the buffers of its thread. They are borrowed before the instruction set is entered: a closure inside
/// would be compiled without its instructions.
struct WithScratch<'a, T> {
    task: T,
    scratch: &'a mut Scratch,
}

impl<F: Fn(usize) -> f32> AddTile<'_, F> {
    pub fn run_on(self, set: InstructionSet) {
        SCRATCH.with_borrow_mut(|scratch| set.run(WithScratch { task: self, scratch }));
    }
}

impl<F: Fn(usize) -> f32> Kernel for WithScratch<'_, AddTile<'_, F>> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        match L::TILE_LATENTS {
            8 => add_tile::<L, 8, F>(lanes, self.task, self.scratch),
            6 => add_tile::<L, 6, F>(lanes, self.task, self.scratch),
            _ => add_tile::<L, 4, F>(lanes, self.task, self.scratch),
        }
    }
}

#[inline(always)]
fn add_tile<L: Lanes, const LINES: usize, F: Fn(usize) -> f32>(
    lanes: L,
    task: AddTile<'_, F>,
    scratch: &mut Scratch,
) {
    let depth = task.tile.rows.len();
    let width = task.out.len() / task.tile.parts.len();
    task.fill(&mut scratch.factors);
    let most = L::TILE_VECTORS * L::WIDTH;
    for column in (0..width).step_by(most) {
        let columns = column..width.min(column + most);
        let packed = &mut scratch.columns;
        pack_columns(lanes, task.matrix, width, task.tile.rows.clone(), columns.clone(), packed);
        let line = |line: usize| &scratch.factors[line * depth..][..depth];
        add_products::<L, LINES>(lanes, line, packed, columns, width, task.out);
    }
}

/// Some columns of some rows of a matrix, up to a panel's, as `[rows][columns]`, padded to whole vectors.
#[inline(always)]
pub fn pack_columns<L: Lanes>(
    lanes: L,
    matrix: &[f32],
    width: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    packed: &mut OnLines,
) {
    let n = columns.len().next_multiple_of(L::WIDTH);
    packed.resize(rows.len() * n);
    for (packed, row) in packed.chunks_exact_mut(n).zip(rows) {
        // So short a piece of so many rows is nothing that the hardware foresees.
        for line in columns.clone().step_by(LINE) {
            lanes.prefetch(matrix.as_ptr().wrapping_add((row + AHEAD) * width + line));
        }
        let row = &matrix[row * width..][columns.clone()];
        for (packed, row) in packed.chunks_exact_mut(L::WIDTH).zip(row.chunks(L::WIDTH)) {
            lanes.store_slice(packed, lanes.load_some(row));
        }
    }
}

/// The columns of all lines of `out`, `[lines, width]`, += factors · packed rows, `[depth][columns]`. Each element is one
/// chain of multiply-adds.
#[inline(always)]
pub fn add_products<'a, L: Lanes, const LINES: usize>(
    lanes: L,
    factors: impl Fn(usize) -> &'a [f32],
    packed: &[f32],
    columns: Range<usize>,
    width: usize,
    out: &mut [f32],
) {
    let n_lines = out.len() / width;
    let vectors = columns.len().div_ceil(L::WIDTH);
    for first in (0..n_lines).step_by(LINES) {
        let mut sums = [0.0f32; MAX_ROWS * MAX_VECTORS * MAX_WIDTH];
        let n = LINES.min(n_lines - first);
        for m in 0..n {
            let out = &out[(first + m) * width..][columns.clone()];
            sums[m * vectors * L::WIDTH..][..columns.len()].copy_from_slice(out);
        }
        // Past the last line it is repeated.
        let factors: [&[f32]; LINES] = std::array::from_fn(|m| factors(first + m.min(n - 1)));
        match vectors {
            3 => multiply::<L, LINES, 3>(lanes, factors, packed, Start::Sums, &mut sums),
            2 => multiply::<L, LINES, 2>(lanes, factors, packed, Start::Sums, &mut sums),
            _ => multiply::<L, LINES, 1>(lanes, factors, packed, Start::Sums, &mut sums),
        }
        for m in 0..n {
            let out = &mut out[(first + m) * width..][columns.clone()];
            out.copy_from_slice(&sums[m * vectors * L::WIDTH..][..columns.len()]);
        }
    }
}

/// `multiply_tile` with its bounds checked.
#[inline(always)]
fn multiply<L: Lanes, const ROWS: usize, const VECTORS: usize>(
    lanes: L,
    rows: [&[f32]; ROWS],
    panel: &[f32],
    start: Start<ROWS>,
    sums: &mut [f32],
) {
    let (depth, width) = (rows[0].len(), VECTORS * L::WIDTH);
    assert!(rows.iter().all(|row| row.len() == depth));
    assert!(panel.len() == depth * width && sums.len() >= ROWS * width);
    let rows = rows.map(<[f32]>::as_ptr);
    // SAFETY: asserted above.
    unsafe {
        multiply_tile::<L, ROWS, VECTORS>(lanes, depth, rows, &[], panel.as_ptr(), start, sums.as_mut_ptr());
    }
}

/// products[pair] = ⟨vectors[line], matrix[row]⟩ of the pairs of one tile, from all products of the tile.
pub struct TileProducts<'a> {
    pub tile: &'a Tile<'a>,
    /// `[lines of the block, width]`
    pub vectors: &'a [f32],
    /// `[.., width]`
    pub matrix: &'a [f32],
    /// Products of the pairs from `first_pair` on.
    pub products: &'a mut [f32],
    pub first_pair: usize,
}

impl TileProducts<'_> {
    pub fn run_on(self, set: InstructionSet) {
        SCRATCH.with_borrow_mut(|scratch| set.run(WithScratch { task: self, scratch }));
    }
}

impl Kernel for WithScratch<'_, TileProducts<'_>> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        match L::TILE_LATENTS {
            8 => tile_products::<L, 8>(lanes, self.task, self.scratch),
            6 => tile_products::<L, 6>(lanes, self.task, self.scratch),
            _ => tile_products::<L, 4>(lanes, self.task, self.scratch),
        }
    }
}

#[inline(always)]
fn tile_products<L: Lanes, const ROWS: usize>(lanes: L, task: TileProducts<'_>, scratch: &mut Scratch) {
    let TileProducts { tile, vectors, matrix, products, first_pair } = task;
    let width = vectors.len() / tile.parts.len();
    let Scratch { panels, products: all, .. } = scratch;
    if tile.is_first {
        panels.lay_out(vectors.len() / width, width, L::WIDTH, L::TILE_VECTORS);
        panels.pack(vectors);
    }
    let n_lanes = panels.n_lanes();
    all.resize(tile.rows.len().next_multiple_of(ROWS) * n_lanes);
    for (group, sums) in tile.rows.clone().step_by(ROWS).zip(all.chunks_exact_mut(ROWS * n_lanes)) {
        for block in 0..panels.n_blocks() {
            let inputs = panels.inputs(block);
            let row = |m: usize| &matrix[(group + m).min(tile.rows.end - 1) * width..][inputs.clone()];
            let rows: [&[f32]; ROWS] = std::array::from_fn(row);
            for panel in 0..panels.vectors.len() {
                let lines = panels.rows(panel);
                let sums = &mut sums[lines.start * ROWS..lines.end * ROWS];
                let start = if block == 0 { Start::Bias([0.0; ROWS]) } else { Start::Sums };
                let packed = panels.panel(block, panel);
                match panels.vectors[panel] {
                    3 => multiply::<L, ROWS, 3>(lanes, rows, packed, start, sums),
                    2 => multiply::<L, ROWS, 2>(lanes, rows, packed, start, sums),
                    _ => multiply::<L, ROWS, 1>(lanes, rows, packed, start, sums),
                }
            }
        }
    }
    for panel in 0..panels.vectors.len() {
        let lines = panels.rows(panel);
        for line in lines.start..lines.end.min(tile.parts.len()) {
            for pair in tile.parts[line].clone() {
                let row = tile.row_of(pair) - tile.rows.start;
                let group = &all[row / ROWS * ROWS * n_lanes + lines.start * ROWS..];
                products[pair - first_pair] = group[row % ROWS * lines.len() + line - lines.start];
            }
        }
    }
}
