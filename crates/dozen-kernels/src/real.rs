//! The two float types, their matrix product, and the elementary functions that SIMD loops call.

use std::ops::{AddAssign, DivAssign, MulAssign, SubAssign};

use burn::tensor::Element;
use gemm::Parallelism;

use crate::vector::Vectorized;

/// `f32` or `f64`.
pub(crate) trait Real:
    Element
    + Vectorized
    + Send
    + Sync
    + PartialOrd
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + std::iter::Sum
{
    const ZERO: Self;
    const ONE: Self;
    fn of(value: f64) -> Self;
    /// `self * factor + term`, rounded once.
    fn fused(self, factor: Self, term: Self) -> Self;
    fn square_root(self) -> Self;
    /// `e^self`.
    fn exponential(self) -> Self;
    /// `ln(1 + e^self)`.
    fn softplus(self) -> Self;
    /// `e^self` over the whole range: zero, subnormal and infinite results, NaN kept.
    fn exponential_full(self) -> Self;
    /// `ln self`: `-inf` at zero, NaN below it.
    fn logarithm(self) -> Self;
    /// `tanh self`.
    fn hyperbolic_tangent(self) -> Self;
    /// `erf self`, to an absolute error of 5e-7 in `f32`.
    fn error_function(self) -> Self;
    /// The greater of both; NaN if `self` is.
    #[inline(always)]
    fn at_least(self, other: Self) -> Self {
        if self < other { other } else { self }
    }

    /// `|self|`.
    fn magnitude(self) -> Self;

    /// `e^-self` to a few units of the last place near zero, and to a relative error of `1e-5` where it is very large or small.
    fn rough_negative_exponential(self) -> Self;

    /// `1 / (1 + e^-self)`.
    #[inline(always)]
    fn sigmoid(self) -> Self {
        Self::ONE / (Self::ONE + (-self).exponential())
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn fused(self, factor: Self, term: Self) -> Self {
        self.mul_add(factor, term)
    }

    #[inline(always)]
    fn square_root(self) -> Self {
        self.sqrt()
    }

    /// Cody and Waite's reduction `x = n ln 2 + r`, `|r| <= ln 2 / 2`, then the Taylor polynomial of degree 6 in `r`
    /// (remainder below `r^7 / 7! = 1.2e-7` of the value at the ends, 2 units in the last place), then `2^n` by its
    /// bits. Held to [-87.3, 88.3], within the range of normal numbers, so that there are no branches.
    #[inline(always)]
    fn exponential(self) -> Self {
        // Adding 1.5 * 2^23 rounds to a whole number, which then stands in the lowest bits.
        const ROUND: f32 = 12_582_912.0;
        let x = self.clamp(-87.3, 88.3);
        let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
        let n = shifted - ROUND;
        let p = exponential_of_rest(x, n);
        // n lies in [-126, 127], so that n + 127 is a valid exponent; the shift drops all bits above it.
        p * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
    }

    /// `max(x, 0) + ln(1 + t)` with `t = e^-|x|`, and `ln(1 + t) = 2 artanh(t / (2 + t))` by its series to degree 13:
    /// the argument is at most 1/3, the remainder below `1.4e-8`.
    #[inline(always)]
    fn softplus(self) -> Self {
        let t = (-self.abs()).exponential();
        let s = t / (2.0 + t);
        let q = s * s;
        let p = 1.0 / 13.0_f32;
        let p = p.mul_add(q, 1.0 / 11.0);
        let p = p.mul_add(q, 1.0 / 9.0);
        let p = p.mul_add(q, 1.0 / 7.0);
        let p = p.mul_add(q, 1.0 / 5.0);
        let p = p.mul_add(q, 1.0 / 3.0);
        let p = p.mul_add(q, 1.0);
        self.max(0.0) + 2.0 * s * p
    }

    /// As [`Real::exponential`], the power of two applied in two halves, so that subnormal and infinite results come
    /// out of the multiplication itself.
    #[inline(always)]
    fn exponential_full(self) -> Self {
        const ROUND: f32 = 12_582_912.0;
        let x = self.clamp(-104.0, 89.0);
        let n = x.mul_add(std::f32::consts::LOG2_E, ROUND) - ROUND;
        let p = exponential_of_rest(x, n);
        let half = n.mul_add(0.5, ROUND);
        let power = |shifted: f32| f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
        p * power(half) * power(n - (half - ROUND) + ROUND)
    }

    /// `x = 2^e m` with `m` in `[sqrt(1/2), sqrt(2))`, then the polynomial of Cephes' `logf` (Moshier) in `m - 1`, and
    /// `e ln 2` in two parts.
    #[inline(always)]
    fn logarithm(self) -> Self {
        let tiny = self < f32::MIN_POSITIVE;
        let x = if tiny { self * 8_388_608.0 } else { self };
        // The exponent such that what is left lies in [sqrt(1/2), sqrt(2)).
        let shift = x.to_bits().wrapping_sub(0x3f35_04f3) & 0xff80_0000;
        let f = f32::from_bits(x.to_bits().wrapping_sub(shift)) - 1.0;
        let e = ((shift as i32) >> 23) as f32 - if tiny { 23.0 } else { 0.0 };
        let z = f * f;
        let p = 7.037_683_6e-2_f32;
        let p = p.mul_add(f, -1.151_461_e-1);
        let p = p.mul_add(f, 1.167_699_87e-1);
        let p = p.mul_add(f, -1.242_014_1e-1);
        let p = p.mul_add(f, 1.424_932_3e-1);
        let p = p.mul_add(f, -1.666_805_7e-1);
        let p = p.mul_add(f, 2.000_071_4e-1);
        let p = p.mul_add(f, -2.499_999_4e-1);
        let p = p.mul_add(f, 3.333_333e-1);
        let y = f * z * p;
        let y = e.mul_add(-2.121_944_4e-4, y);
        let y = z.mul_add(-0.5, y);
        let value = e.mul_add(0.693_359_4, f + y);
        if self == 0.0 {
            f32::NEG_INFINITY
        } else if self == f32::INFINITY {
            f32::INFINITY
        } else if self > 0.0 {
            value
        } else {
            f32::NAN
        }
    }

    /// Cephes' `tanhf` (Moshier): an odd polynomial below 0.625, `1 - 2 / (e^{2|x|} + 1)` above.
    #[inline(always)]
    fn hyperbolic_tangent(self) -> Self {
        let z = self * self;
        let p = -5.704_988_7e-3_f32;
        let p = p.mul_add(z, 2.063_909e-2);
        let p = p.mul_add(z, -5.373_971_6e-2);
        let p = p.mul_add(z, 1.333_144_2e-1);
        let p = p.mul_add(z, -3.333_328e-1);
        let near = (p * z).mul_add(self, self);
        let far = (1.0 - 2.0 / ((2.0 * self.abs()).exponential() + 1.0)).copysign(self);
        if self.abs() < 0.625 { near } else { far }
    }

    /// `x P(x^2) / Q(x^2)` below 3.8, where polynomials of degree 5 were fitted to the least greatest error (1e-8 before
    /// rounding), and one from there on, where `erf` is less than 8e-8 from it.
    #[inline(always)]
    fn error_function(self) -> Self {
        let x = self.clamp(-3.8, 3.8);
        let z = x * x;
        let p = 2.132_128_4e-6_f32;
        let p = p.mul_add(z, 2.88e-4);
        let p = p.mul_add(z, 3.693_633_5e-3);
        let p = p.mul_add(z, 5.254_740_2e-2);
        let p = p.mul_add(z, 1.881_166_5e-1);
        let p = p.mul_add(z, std::f32::consts::FRAC_2_SQRT_PI);
        let q = 3.909_784e-5_f32;
        let q = q.mul_add(z, 1.153_75e-3);
        let q = q.mul_add(z, 1.482_296_8e-2);
        let q = q.mul_add(z, 1.132_550_9e-1);
        let q = q.mul_add(z, 5.000_463e-1);
        let q = q.mul_add(z, 1.0);
        if self.abs() >= 3.8 { 1.0_f32.copysign(self) } else { x * p / q }
    }

    #[inline(always)]
    fn magnitude(self) -> Self {
        self.abs()
    }

    /// `2^t` with `t = -self log2 e` in [-126, 126]: its whole part by the bits of the exponent, `2^f` for `|f| <= 1/2` by the polynomial of degree 5 of the least greatest
    /// relative error (7.5e-8, by Remez' exchange).
    #[inline(always)]
    fn rough_negative_exponential(self) -> Self {
        const ROUND: f32 = 12_582_912.0;
        let t = (self * -std::f32::consts::LOG2_E).clamp(-126.0, 126.0);
        let shifted = t + ROUND;
        let f = t - (shifted - ROUND);
        let p = 1.327_647_2e-3_f32;
        let p = p.mul_add(f, 9.675_541e-3);
        let p = p.mul_add(f, 5.550_713_3e-2);
        let p = p.mul_add(f, 2.402_212e-1);
        let p = p.mul_add(f, 6.931_469_7e-1);
        let p = p.mul_add(f, 1.000_000_1);
        // The shift leaves the whole part alone, in the place of the exponent.
        f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23))
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn fused(self, factor: Self, term: Self) -> Self {
        self.mul_add(factor, term)
    }

    #[inline(always)]
    fn square_root(self) -> Self {
        self.sqrt()
    }

    #[inline(always)]
    fn exponential(self) -> Self {
        self.exp()
    }

    #[inline(always)]
    fn softplus(self) -> Self {
        self.max(0.0) + (-self.abs()).exp().ln_1p()
    }

    #[inline(always)]
    fn exponential_full(self) -> Self {
        self.exp()
    }

    #[inline(always)]
    fn logarithm(self) -> Self {
        self.ln()
    }

    #[inline(always)]
    fn hyperbolic_tangent(self) -> Self {
        self.tanh()
    }

    #[inline(always)]
    fn error_function(self) -> Self {
        libm::erf(self)
    }

    #[inline(always)]
    fn magnitude(self) -> Self {
        self.abs()
    }

    #[inline(always)]
    fn rough_negative_exponential(self) -> Self {
        (-self).exp()
    }
}

/// `e^{x - n ln 2}` for `|x - n ln 2| <= ln 2 / 2`: `ln 2` in two parts (Cody and Waite), then the Taylor polynomial of
/// degree 6.
#[inline(always)]
fn exponential_of_rest(x: f32, n: f32) -> f32 {
    let r = n.mul_add(-0.693_359_4, x);
    let r = n.mul_add(2.121_944_4e-4, r);
    let p = 1.0 / 720.0_f32;
    let p = p.mul_add(r, 1.0 / 120.0);
    let p = p.mul_add(r, 1.0 / 24.0);
    let p = p.mul_add(r, 1.0 / 6.0);
    let p = p.mul_add(r, 0.5);
    let p = p.mul_add(r, 1.0);
    p.mul_add(r, 1.0)
}

/// Partial sums of a loop that vectorises.
pub(crate) const LANES: usize = 16;

/// The sum of all lanes, by halves: fixed in its order, and a few instructions.
#[inline(always)]
pub(crate) fn sum_lanes<E: Real>(mut lanes: [E; LANES]) -> E {
    for width in [8, 4, 2, 1] {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
    }
    lanes[0]
}

/// The sum of a slice, in lanes; the order is fixed.
#[inline(always)]
pub(crate) fn lane_sum<E: Real>(values: &[E]) -> E {
    let mut sums = [E::ZERO; LANES];
    let (body, rest) = values.as_chunks::<LANES>();
    for values in body {
        for lane in 0..LANES {
            sums[lane] += values[lane];
        }
    }
    let rest: E = rest.iter().copied().sum();
    sum_lanes(sums) + rest
}

/// The sum of a slice's products with another, in lanes, so that it vectorises; the order is fixed.
#[inline(always)]
pub(crate) fn lane_dot<E: Real>(a: &[E], b: &[E]) -> E {
    let mut sums = [E::ZERO; LANES];
    let (a_body, a_rest) = a.as_chunks::<LANES>();
    let (b_body, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_body.iter().zip(b_body) {
        for lane in 0..LANES {
            sums[lane] = a[lane].fused(b[lane], sums[lane]);
        }
    }
    let rest: E = a_rest.iter().zip(b_rest).map(|(&a, &b)| a * b).sum();
    sum_lanes(sums) + rest
}

/// The dot product of two slices of one length, by SIMD; sums in a fixed order.
///
/// # Panics
/// When the lengths differ.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "a dot product of slices of one length");
    vectorized(
        #[inline(always)]
        || lane_dot(a, b),
    )
}

/// Runs a loop compiled for the best instruction set that this machine has.
///
/// Inside, write `for` loops and call `#[inline(always)]` functions: a closure given to `for_each` or `map` may be
/// compiled apart, without the instruction set, and then each fused multiply-add becomes a call.
pub(crate) fn vectorized<R>(body: impl FnOnce() -> R) -> R {
    architecture().dispatch(body)
}

/// The instruction set that kernels use: the best of this machine, or the one that the environment variable `DOZEN_SIMD`
/// names (`scalar`, or on x86-64 `avx2`), which tests do.
pub(crate) fn architecture() -> pulp::Arch {
    static CHOICE: std::sync::OnceLock<pulp::Arch> = std::sync::OnceLock::new();
    *CHOICE.get_or_init(|| match std::env::var("DOZEN_SIMD").as_deref() {
        Ok("scalar") => pulp::Arch::Scalar,
        #[cfg(target_arch = "x86_64")]
        Ok("avx2") => pulp::x86::V3::try_new().map_or_else(pulp::Arch::new, pulp::Arch::V3),
        _ => pulp::Arch::new(),
    })
}

/// A matrix inside a slice: the element in row `i`, column `j` is at `start + i * row_stride + j * column_stride`.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    pub(crate) start: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl Block {
    /// A whole row-major matrix.
    pub(crate) fn whole(rows: usize, columns: usize) -> Self {
        Self { start: 0, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// Rows `rows` and columns `columns` of it.
    pub(crate) fn part(self, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) -> Self {
        assert!(rows.end <= self.rows && columns.end <= self.columns);
        Self {
            start: self.start + rows.start * self.row_stride + columns.start * self.column_stride,
            rows: rows.len(),
            columns: columns.len(),
            ..self
        }
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// One past the last element.
    fn end(self) -> usize {
        if self.rows == 0 || self.columns == 0 {
            return self.start;
        }
        self.start + (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride + 1
    }
}

/// From this many multiplications on, a product is worth two threads.
const PARALLEL_FROM: usize = 1 << 21;

/// `c = a b`, or `c += a b` when `accumulate`, on blocks of slices; large products on all threads.
pub(crate) fn matmul<E: Real>(c: (&mut [E], Block), a: (&[E], Block), b: (&[E], Block), accumulate: bool) {
    let work = a.1.rows * a.1.columns * b.1.columns;
    let parallelism = if work >= PARALLEL_FROM { Parallelism::Rayon(0) } else { Parallelism::None };
    multiply(c, a, b, accumulate, parallelism);
}

#[expect(unsafe_code, reason = "the gemm crate takes pointers")]
fn multiply<E: Real>(
    (c, c_block): (&mut [E], Block),
    (a, a_block): (&[E], Block),
    (b, b_block): (&[E], Block),
    accumulate: bool,
    parallelism: Parallelism,
) {
    let (m, k, n) = (a_block.rows, a_block.columns, b_block.columns);
    assert_eq!((c_block.rows, c_block.columns, b_block.rows), (m, n, k), "shapes of a product");
    assert!(c_block.end() <= c.len() && a_block.end() <= a.len() && b_block.end() <= b.len());
    if m == 0 || n == 0 {
        return;
    }
    // SAFETY: `end` bounds the largest offset that each block's shape and strides reach, and the assertion above
    // keeps it inside its slice; all offsets are non-negative. `c` is borrowed mutably, so that it overlaps neither
    // `a` nor `b`, and distinct (i, j) of `c` are distinct elements because blocks are parts of row-major matrices.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr().add(c_block.start),
            c_block.column_stride as isize,
            c_block.row_stride as isize,
            accumulate,
            a.as_ptr().add(a_block.start),
            a_block.column_stride as isize,
            a_block.row_stride as isize,
            b.as_ptr().add(b_block.start),
            b_block.column_stride as isize,
            b_block.row_stride as isize,
            E::ONE,
            E::ONE,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> f64 {
        let error = |x: f32| {
            let truth = exact(f64::from(x));
            (f64::from(f(x)) - truth).abs() / truth
        };
        (-860..880)
            .flat_map(|i| (0..50).map(move |j| i as f32 * 0.1 + j as f32 * 0.002))
            .map(error)
            .fold(0.0, f64::max)
    }

    #[test]
    fn exponential_is_within_three_units_in_the_last_place() {
        assert!(worst(Real::exponential, f64::exp) < 3.0 * f64::from(f32::EPSILON));
    }

    #[test]
    fn full_exponential_and_logarithm_hold_over_all_floats() {
        assert!(worst(Real::exponential_full, f64::exp) < 3.0 * f64::from(f32::EPSILON));
        for x in [f32::NEG_INFINITY, -200.0, -104.5] {
            assert_eq!(x.exponential_full(), 0.0, "{x}");
        }
        assert_eq!(f32::INFINITY.exponential_full(), f32::INFINITY);
        assert_eq!(89.0_f32.exponential_full(), f32::INFINITY);
        assert!((88.7_f32.exponential_full() / 88.7_f32.exp() - 1.0).abs() < 1e-6);
        assert!((-100.0_f32).exponential_full() > 0.0);
        assert!(f32::NAN.exponential_full().is_nan() && f32::NAN.logarithm().is_nan());
        assert!((-1.0_f32).logarithm().is_nan());
        assert_eq!((0.0_f32.logarithm(), f32::INFINITY.logarithm()), (f32::NEG_INFINITY, f32::INFINITY));
        // Every exponent, subnormals among them.
        for bits in (1..f32::INFINITY.to_bits()).step_by(99_991) {
            let x = f32::from_bits(bits);
            let truth = f64::from(x).ln();
            let error = (f64::from(x.logarithm()) - truth).abs();
            assert!(error <= 2.0 * f64::from(f32::EPSILON) * truth.abs().max(1e-3), "{x}: {error}");
        }
    }

    #[test]
    fn tanh_and_erf_are_within_their_bounds() {
        for step in -20_000..20_000 {
            let x = step as f32 * 5e-4;
            let truth = f64::from(x).tanh();
            let error = (f64::from(x.hyperbolic_tangent()) - truth).abs();
            assert!(error <= 2.0 * f64::from(f32::EPSILON) * truth.abs(), "{x}: {error}");
            let error = (f64::from(x.error_function()) - libm::erf(f64::from(x))).abs();
            assert!(error < 5e-7, "{x}: {error}");
        }
        assert_eq!((1e30_f32.hyperbolic_tangent(), f32::NEG_INFINITY.hyperbolic_tangent()), (1.0, -1.0));
        assert!(f32::NAN.hyperbolic_tangent().is_nan());
    }

    #[test]
    fn softplus_and_sigmoid_are_right_over_the_whole_range() {
        let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
        assert!(worst(Real::softplus, softplus) < 4.0 * f64::from(f32::EPSILON));
        assert!(worst(Real::sigmoid, |x| 1.0 / (1.0 + (-x).exp())) < 4.0 * f64::from(f32::EPSILON));
    }

    #[test]
    fn blocks_multiply_like_loops() {
        let (m, k, n) = (7, 5, 9);
        let a: Vec<f64> = (0..m * k).map(|v| (v as f64).sin()).collect();
        let b: Vec<f64> = (0..k * n).map(|v| (v as f64).cos()).collect();
        let mut c = vec![1.0; m * n];
        // Rows 2..6 of `a`, columns 1..8 of `b`, added to the matching part of `c`.
        let part = Block::whole(m, n).part(2..6, 1..8);
        let left = Block::whole(m, k).part(2..6, 0..k);
        let right = Block::whole(k, n).part(0..k, 1..8);
        matmul((&mut c, part), (&a, left), (&b, right), true);
        for i in 0..m {
            for j in 0..n {
                let inside = (2..6).contains(&i) && (1..8).contains(&j);
                let product: f64 = (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum();
                let expected = if inside { 1.0 + product } else { 1.0 };
                assert!((c[i * n + j] - expected).abs() < 1e-12);
            }
        }
    }
}
