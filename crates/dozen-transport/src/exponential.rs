//! `e^x` in double precision, written so that loops over it become SIMD.

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
