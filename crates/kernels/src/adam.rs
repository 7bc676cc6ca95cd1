//! One Adam step on a weight row.

use crate::lanes::{DITHER_STEP, Kernel, Lanes, MAX_WIDTH};
use crate::sums::inner_product;

/// Adam's options, with the factors that depend on the step already worked out.
#[derive(Debug, Clone, Copy)]
pub struct Adam {
    pub beta1: f32,
    pub beta2: f32,
    pub epsilon: f32,
    /// lr / (1 − β₁^t)
    step_size: f32,
    /// 1 / (1 − β₂^t)
    correction2: f32,
    one_minus_beta1: f32,
    one_minus_beta2: f32,
    step: f64,
}

impl Adam {
    /// `step` is 1 for the first update.
    pub fn new(learning_rate: f64, beta1: f64, beta2: f64, epsilon: f64, step: f64) -> Self {
        Self {
            beta1: beta1 as f32,
            beta2: beta2 as f32,
            epsilon: epsilon as f32,
            step_size: (learning_rate / (1.0 - beta1.powf(step))) as f32,
            correction2: (1.0 / (1.0 - beta2.powf(step))) as f32,
            one_minus_beta1: (1.0 - beta1) as f32,
            one_minus_beta2: (1.0 - beta2) as f32,
            step,
        }
    }

    /// Where the dither of a row starts: step and row move it by different irrational parts of the whole, so that an
    /// element is rounded up as often as it should be over the steps, and neighbours are not rounded alike.
    fn dither(&self, row: usize) -> u32 {
        const ROW_STEP: u32 = 0x85eb_ca6b;
        const UPDATE_STEP: u32 = 0xb529_7a4d;
        ROW_STEP.wrapping_mul(row as u32).wrapping_add(UPDATE_STEP.wrapping_mul(self.step as u64 as u32))
    }
}

/// A number type in which moments are kept: f32, or bf16 given as its bits.
///
/// Plain rounding to bf16 would hold a slowly changing moment where it is (1 − β₂ is below half a unit of its last
/// place), so bf16 is rounded up or down by dither, right on average over the steps.
pub trait Moment: Copy + Default + Send + Sync {
    /// # Safety
    /// `from` must be readable for `WIDTH` moments.
    unsafe fn load<L: Lanes>(lanes: L, from: *const Self) -> L::Vector;
    /// # Safety
    /// `to` must be writable for `WIDTH` moments.
    unsafe fn store<L: Lanes>(lanes: L, to: *mut Self, vector: L::Vector, dither: u32);
}

impl Moment for f32 {
    #[inline(always)]
    unsafe fn load<L: Lanes>(lanes: L, from: *const f32) -> L::Vector {
        // SAFETY: as the caller vouches.
        unsafe { lanes.load(from) }
    }
    #[inline(always)]
    unsafe fn store<L: Lanes>(lanes: L, to: *mut f32, vector: L::Vector, _dither: u32) {
        // SAFETY: as the caller vouches.
        unsafe { lanes.store(to, vector) }
    }
}

impl Moment for u16 {
    #[inline(always)]
    unsafe fn load<L: Lanes>(lanes: L, from: *const u16) -> L::Vector {
        // SAFETY: as the caller vouches.
        unsafe { lanes.load_bf16(from) }
    }
    #[inline(always)]
    unsafe fn store<L: Lanes>(lanes: L, to: *mut u16, vector: L::Vector, dither: u32) {
        // SAFETY: as the caller vouches.
        unsafe { lanes.store_bf16(to, vector, dither) }
    }
}

/// The part of a row's gradient along its weights, and squared lengths.
pub struct Along {
    /// ⟨g, w⟩ / ‖w‖², 0 for a row of length 0.
    pub share: f32,
    /// ‖g‖²
    pub gradient: f32,
    /// ‖g − share · w‖²
    pub across: f32,
}

/// Measures [`Along`].
pub struct MeasureAlong<'a> {
    pub gradient: &'a [f32],
    pub weights: &'a [f32],
}

impl Kernel for MeasureAlong<'_> {
    type Output = Along;
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Along {
        let product = inner_product(lanes, self.gradient, self.weights);
        let gradient = inner_product(lanes, self.gradient, self.gradient);
        let square = inner_product(lanes, self.weights, self.weights);
        let share = if square > 0.0 { product / square } else { 0.0 };
        Along { share, gradient, across: (gradient - share * product).max(0.0) }
    }
}

/// The weight row of one latent, with its moments and its gradient.
pub struct UpdateRow<'a, M> {
    pub latent: usize,
    pub gradient: &'a [f32],
    pub weights: &'a mut [f32],
    pub first_moments: &'a mut [M],
    pub second_moments: &'a mut [M],
    pub unit_norm: bool,
    /// The gradient is multiplied by it.
    pub gradient_scale: f32,
    pub adam: Adam,
}

impl<M: Moment> Kernel for UpdateRow<'_, M> {
    /// ‖w‖² after the step, before it is scaled.
    type Output = f32;
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> f32 {
        let Self { latent, gradient, weights, first_moments, second_moments, unit_norm, .. } = self;
        let width = weights.len();
        assert!(gradient.len() == width && first_moments.len() == width && second_moments.len() == width);
        let share = if unit_norm { MeasureAlong { gradient, weights }.run(lanes).share } else { 0.0 };
        let stepper = Stepper { lanes, adam: self.adam, share, scale: self.gradient_scale };
        let mut dither = self.adam.dither(latent);
        let mut squares = [lanes.splat(0.0); 2];
        let whole = width / L::WIDTH * L::WIDTH;
        for column in (0..whole).step_by(L::WIDTH) {
            // SAFETY: all four rows are `width` long, and the vector ends within it.
            let weight = unsafe {
                stepper.step(
                    gradient.as_ptr().add(column),
                    weights.as_mut_ptr().add(column),
                    first_moments.as_mut_ptr().add(column),
                    second_moments.as_mut_ptr().add(column),
                    dither,
                )
            };
            squares[0] = lanes.multiply_add(weight, weight, squares[0]);
            squares.swap(0, 1);
            dither = dither.wrapping_add(DITHER_STEP.wrapping_mul(L::WIDTH as u32));
        }
        let mut square = lanes.sum(lanes.add(squares[0], squares[1]));
        if whole < width {
            let tail = whole..width;
            let mut padded = Padded::of(&gradient[tail.clone()], &weights[tail.clone()]);
            padded.first[..tail.len()].copy_from_slice(&first_moments[tail.clone()]);
            padded.second[..tail.len()].copy_from_slice(&second_moments[tail.clone()]);
            padded.step(&stepper, dither);
            weights[tail.clone()].copy_from_slice(&padded.weights[..tail.len()]);
            first_moments[tail.clone()].copy_from_slice(&padded.first[..tail.len()]);
            second_moments[tail.clone()].copy_from_slice(&padded.second[..tail.len()]);
            square += weights[tail].iter().map(|w| w * w).sum::<f32>();
        }
        if unit_norm && square > 0.0 {
            scale(lanes, weights, 1.0 / square.sqrt());
        }
        square
    }
}

/// The end of a row, as wide as a vector.
struct Padded<M> {
    gradient: [f32; MAX_WIDTH],
    weights: [f32; MAX_WIDTH],
    first: [M; MAX_WIDTH],
    second: [M; MAX_WIDTH],
}

impl<M: Moment> Padded<M> {
    #[inline(always)]
    fn of(gradient: &[f32], weights: &[f32]) -> Self {
        let moments = [M::default(); MAX_WIDTH];
        let mut padded =
            Self { gradient: [0.0; MAX_WIDTH], weights: [0.0; MAX_WIDTH], first: moments, second: moments };
        padded.gradient[..gradient.len()].copy_from_slice(gradient);
        padded.weights[..weights.len()].copy_from_slice(weights);
        padded
    }

    #[inline(always)]
    fn step<L: Lanes>(&mut self, stepper: &Stepper<L>, dither: u32) {
        // SAFETY: the arrays are as long as the widest vector.
        unsafe {
            stepper.step(
                self.gradient.as_ptr(),
                self.weights.as_mut_ptr(),
                self.first.as_mut_ptr(),
                self.second.as_mut_ptr(),
                dither,
            );
        }
    }
}

/// One vector of a row: the projected and scaled gradient, the moments, the weight.
struct Stepper<L> {
    lanes: L,
    adam: Adam,
    share: f32,
    scale: f32,
}

impl<L: Lanes> Stepper<L> {
    /// Gives the new weights.
    ///
    /// # Safety
    /// Each pointer must be good for `WIDTH` elements, the last three also for writing.
    #[inline(always)]
    unsafe fn step<M: Moment>(
        &self,
        gradient: *const f32,
        weights: *mut f32,
        first: *mut M,
        second: *mut M,
        dither: u32,
    ) -> L::Vector {
        let Self { lanes, adam, share, scale } = *self;
        // SAFETY: as the caller vouches.
        unsafe {
            let weight = lanes.load(weights);
            let g = lanes.multiply_add(lanes.splat(-share), weight, lanes.load(gradient));
            let g = lanes.multiply(g, lanes.splat(scale));
            let m = lanes.multiply_add(
                lanes.splat(adam.beta1),
                M::load(lanes, first),
                lanes.multiply(lanes.splat(adam.one_minus_beta1), g),
            );
            let v = lanes.multiply_add(
                lanes.splat(adam.beta2),
                M::load(lanes, second),
                lanes.multiply(lanes.multiply(lanes.splat(adam.one_minus_beta2), g), g),
            );
            let root = lanes.square_root(lanes.multiply(v, lanes.splat(adam.correction2)));
            let denominator = lanes.add(root, lanes.splat(adam.epsilon));
            let change = lanes.divide(lanes.multiply(m, lanes.splat(adam.step_size)), denominator);
            let weight = lanes.subtract(weight, change);
            M::store(lanes, first, m, dither);
            M::store(lanes, second, v, dither ^ 0x8000_0000);
            lanes.store(weights, weight);
            weight
        }
    }
}

#[inline(always)]
fn scale<L: Lanes>(lanes: L, row: &mut [f32], factor: f32) {
    for piece in row.chunks_mut(L::WIDTH) {
        let scaled = lanes.multiply(lanes.load_some(piece), lanes.splat(factor));
        lanes.store_some(piece, scaled);
    }
}
