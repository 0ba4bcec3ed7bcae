//! Layer normalisation of one row, and the way back.

use super::EPSILON;
use crate::real::{Real, lane_dot, lane_sum};

/// A row brought to mean 0 and variance 1, in `normal`; then scaled and shifted, in place; and the inverse of its deviation.
#[inline(always)]
pub(super) fn normalize<E: Real>(row: &mut [E], normal: &mut [E], scale: &[E], bias: &[E]) -> E {
    let n = row.len();
    let (normal, scale, bias) = (&mut normal[..n], &scale[..n], &bias[..n]);
    let mean = lane_sum(row) / E::of(n as f64);
    for j in 0..n {
        normal[j] = row[j] - mean;
    }
    let variance = lane_dot(normal, normal) / E::of(n as f64);
    let inverse = E::ONE / (variance + E::of(EPSILON)).square_root();
    for j in 0..n {
        normal[j] *= inverse;
        row[j] = normal[j].fused(scale[j], bias[j]);
    }
    inverse
}

/// The gradient of what [`normalize`] was given.
#[inline(always)]
pub(super) fn normalize_back<E: Real>(dy: &[E], normal: &[E], inverse: E, scale: &[E], into: &mut [E]) {
    let n = dy.len();
    let (normal, scale, into) = (&normal[..n], &scale[..n], &mut into[..n]);
    for j in 0..n {
        into[j] = dy[j] * scale[j];
    }
    let mean = lane_sum(into) / E::of(n as f64);
    let slope = lane_dot(into, normal) / E::of(n as f64);
    for j in 0..n {
        into[j] = (into[j] - mean - normal[j] * slope) * inverse;
    }
}
