//! Loops over numbers in double precision, as SIMD.

/// Partial sums of a loop that becomes SIMD.
pub(crate) const LANES: usize = 32;

/// Runs a loop compiled for the best instruction set that this machine has.
///
/// Inside, write `for` loops over indices and call `#[inline(always)]` functions: adapters of iterators may be compiled
/// apart, without the instruction set, and then each fused multiply-add becomes a call.
pub(crate) fn vectorized<R>(body: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(body)
}

/// `sum a_j b_j`, for use inside [`vectorized`].
#[inline(always)]
pub(crate) fn lane_dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0_f64; LANES];
    let (a_body, a_rest) = a.as_chunks::<LANES>();
    let (b_body, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_body.iter().zip(b_body) {
        for lane in 0..LANES {
            sums[lane] = a[lane].mul_add(b[lane], sums[lane]);
        }
    }
    let mut sum = 0.0;
    for lane in 0..LANES {
        sum += sums[lane];
    }
    for lane in 0..a_rest.len().min(b_rest.len()) {
        sum += a_rest[lane] * b_rest[lane];
    }
    sum
}

/// `sum a_j b_j`.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    vectorized(
        #[inline(always)]
        || lane_dot(a, b),
    )
}

/// The least `c_j - g_j`.
pub(crate) fn least_difference(costs: &[f64], g: &[f64]) -> f64 {
    vectorized(
        #[inline(always)]
        || {
            let mut least = [f64::INFINITY; LANES];
            let (cost_body, cost_rest) = costs.as_chunks::<LANES>();
            let (g_body, g_rest) = g.as_chunks::<LANES>();
            for (costs, g) in cost_body.iter().zip(g_body) {
                for lane in 0..LANES {
                    let reduced = costs[lane] - g[lane];
                    least[lane] = if reduced < least[lane] { reduced } else { least[lane] };
                }
            }
            let rest = cost_rest.iter().zip(g_rest).map(|(cost, g)| cost - g);
            least.into_iter().chain(rest).fold(f64::INFINITY, f64::min)
        },
    )
}

/// The greatest `|x_j|`, or zero.
pub(crate) fn greatest_magnitude(values: &[f64]) -> f64 {
    vectorized(
        #[inline(always)]
        || {
            let mut most = [0.0_f64; LANES];
            let (body, rest) = values.as_chunks::<LANES>();
            for values in body {
                for lane in 0..LANES {
                    let magnitude = values[lane].abs();
                    most[lane] = if magnitude > most[lane] { magnitude } else { most[lane] };
                }
            }
            most.into_iter().chain(rest.iter().map(|x| x.abs())).fold(0.0, f64::max)
        },
    )
}

/// `e^x` to two units in the last place: `x = n ln 2 + r` with `ln 2` in two parts (Cody and Waite), the Taylor polynomial
/// of degree 13 in `|r| <= ln 2 / 2` (remainder below `r^14 / 14! = 5e-18`), then `2^n` by its bits. `x` is held to
/// [-700, 700], within the range of normal numbers; below that range the result is zero.
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    // Adding 1.5 * 2^52 rounds to a whole number, which then stands in the lowest bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let held = if x > 700.0 { 700.0 } else { x };
    let held = if held < -700.0 { -700.0 } else { held };
    let shifted = held.mul_add(std::f64::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, held));
    let p = 1.0 / 6_227_020_800.0_f64;
    let p = p.mul_add(r, 1.0 / 479_001_600.0);
    let p = p.mul_add(r, 1.0 / 39_916_800.0);
    let p = p.mul_add(r, 1.0 / 3_628_800.0);
    let p = p.mul_add(r, 1.0 / 362_880.0);
    let p = p.mul_add(r, 1.0 / 40_320.0);
    let p = p.mul_add(r, 1.0 / 5040.0);
    let p = p.mul_add(r, 1.0 / 720.0);
    let p = p.mul_add(r, 1.0 / 120.0);
    let p = p.mul_add(r, 1.0 / 24.0);
    let p = p.mul_add(r, 1.0 / 6.0);
    let p = p.mul_add(r, 0.5);
    let p = p.mul_add(r, 1.0);
    let p = p.mul_add(r, 1.0);
    // n lies in [-1010, 1010], so that n + 1023 is a valid exponent; the shift drops all bits above it.
    let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    if x < -700.0 { 0.0 } else { p * power }
}

#[cfg(test)]
mod tests {
    #[test]
    fn exponential_is_within_two_units_in_the_last_place() {
        for step in -699_000..700_000 {
            let x = f64::from(step) * 0.001 + 1e-7;
            let error = (super::exp(x) / x.exp() - 1.0).abs();
            assert!(error <= 2.0 * f64::EPSILON, "{x}: {error}");
        }
        assert_eq!((super::exp(-1e300), super::exp(0.0)), (0.0, 1.0));
        assert!(super::exp(f64::INFINITY).is_finite());
    }
}
