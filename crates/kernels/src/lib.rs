//! The sparse primitives on which Monoseme's learning is written, for the instruction sets of CPUs.
//!
//! What each primitive computes is stated once, in `packages/monoseme/src/kernels/contract.ts`; names and shapes here
//! are the same. All matrices are row-major f32 slices.
//!
//! Every primitive takes an [`Engine`]: an instruction set, chosen when the program runs, and a pool of threads.
//! Results do not depend on the number of threads: an output element is always summed by one thread in one order.

mod adam;
mod co_activation;
mod codes;
mod decode;
mod dense;
mod encode;
mod engine;
mod error;
mod geometric_median;
mod instruction_set;
mod lanes;
mod limits;
mod nested;
mod on_lines;
mod pair_sums;
mod product;
mod rows;
mod screen;
mod sums;
mod transpose;
mod traversal;
mod update_rows;

pub use adam::Adam;
pub use co_activation::{CoActivationInput, CoActivations, LatentNumber, co_activations};
pub use codes::{Codes, CodesView};
pub use decode::{DecodeInput, Errors, decode, residuals, sampled_products};
pub use encode::{EncodeInput, Selection, encode};
pub use engine::Engine;
pub use error::KernelError;
pub use geometric_median::{GeometricMedianInput, geometric_median};
pub use instruction_set::InstructionSet;
pub use limits::{bandwidth_bytes_per_second, byte_operations_per_second, fma_flops_per_second};
pub use nested::{NestedErrors, NestedInput, nested_residuals};
pub use pair_sums::{PairSumsInput, add_pair_sums};
pub use product::{ProductInput, product};
pub use rows::{center, column_sums};
pub use screen::{N_FACTS, ScreenedMut, ScreenedView, bytes_of_row, screen};
pub use transpose::{CodesByLatent, CodesByLatentView, transpose};
pub use update_rows::{
    GradientInput, Moments, Pull, SparseSum, UpdateRowsInput, squared_gradient_norm, update_rows,
};
