use crate::engine::Engine;
use crate::error::{KernelError, expect_length};
use crate::lanes::{Kernel, Lanes};
use crate::sums::{Rows, Term, add_weighted_sum};
use rayon::prelude::*;

pub struct GeometricMedianInput<'a> {
    /// `[n_rows, width]`
    pub points: &'a [f32],
    pub n_rows: usize,
    pub width: usize,
    pub max_iterations: usize,
    pub tolerance: f64,
}

const LEAST_DISTANCE: f64 = 1e-6;

/// Points summed in f32 before they go to a sum in f64: few enough that rounding stays near that of one point.
const CHUNK: usize = 64;

/// Σ weight · point and Σ weight, over some points.
struct WeightedPoints {
    sum: Vec<f64>,
    weight: f64,
}

impl WeightedPoints {
    fn add(mut self, other: &Self) -> Self {
        for (a, b) in self.sum.iter_mut().zip(&other.sum) {
            *a += b;
        }
        self.weight += other.weight;
        self
    }
}

/// The points of a chunk, each weighted by 1 / its distance from the estimate (by 1 without an estimate).
struct WeighChunk<'a> {
    points: &'a [f32],
    width: usize,
    estimate: Option<&'a [f64]>,
}

fn distance(point: &[f32], estimate: &[f64]) -> f64 {
    let mut sums = [0.0f64; 8];
    let ((points, more_points), (estimates, more_estimates)) =
        (point.as_chunks::<8>(), estimate.as_chunks::<8>());
    let mut add = |point: &[f32], estimate: &[f64]| {
        for ((x, y), sum) in point.iter().zip(estimate).zip(&mut sums) {
            let difference = f64::from(*x) - y;
            *sum += difference * difference;
        }
    };
    points.iter().zip(estimates).for_each(|(point, estimate)| add(point, estimate));
    add(more_points, more_estimates);
    sums.iter().sum::<f64>().sqrt().max(LEAST_DISTANCE)
}

impl Kernel for WeighChunk<'_> {
    type Output = WeightedPoints;
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> WeightedPoints {
        let n = self.points.len() / self.width;
        let mut weights = [1.0f32; CHUNK];
        if let Some(estimate) = self.estimate {
            for (weight, point) in weights.iter_mut().zip(self.points.chunks(self.width)) {
                *weight = (1.0 / distance(point, estimate)) as f32;
            }
        }
        let mut sum = vec![0.0f32; self.width];
        let term = |i: usize| Term { index: i, factor: weights[i] };
        add_weighted_sum(lanes, n, n, term, Rows::new(self.points, self.width), &mut sum, |_| {});
        WeightedPoints {
            sum: sum.into_iter().map(f64::from).collect(),
            weight: weights[..n].iter().map(|&weight| f64::from(weight)).sum(),
        }
    }
}

/// Chunks that one task adds up: fixed, so that the sum is the same for any number of threads.
const CHUNKS_OF_A_TASK: usize = 16;

fn weighted_mean(engine: &Engine, input: &GeometricMedianInput<'_>, estimate: Option<&[f64]>) -> Vec<f64> {
    let width = input.width;
    let zero = || WeightedPoints { sum: vec![0.0; width], weight: 0.0 };
    let parts: Vec<_> = input
        .points
        .par_chunks(CHUNKS_OF_A_TASK * CHUNK * width)
        .map(|task| {
            task.chunks(CHUNK * width).fold(zero(), |sum, points| {
                sum.add(&engine.instruction_set.run(WeighChunk { points, width, estimate }))
            })
        })
        .collect();
    let total = parts.iter().fold(zero(), WeightedPoints::add);
    total.sum.into_iter().map(|sum| sum / total.weight).collect()
}

/// argmin_y Σ‖x_b − y‖ by Weiszfeld's steps from the mean.
pub fn geometric_median(engine: &Engine, input: &GeometricMedianInput<'_>) -> Result<Vec<f32>, KernelError> {
    if input.n_rows == 0 || input.width == 0 {
        return Err(KernelError::option("There are no points."));
    }
    expect_length("points", input.points.len(), &[input.n_rows, input.width])?;
    engine.install(|| {
        let mut estimate = weighted_mean(engine, input, None);
        for _ in 0..input.max_iterations {
            let next = weighted_mean(engine, input, Some(&estimate));
            let moved: f64 = next.iter().zip(&estimate).map(|(a, b)| (a - b) * (a - b)).sum();
            estimate = next;
            if moved.sqrt() < input.tolerance {
                break;
            }
        }
        Ok(estimate.into_iter().map(|y| y as f32).collect())
    })
}
