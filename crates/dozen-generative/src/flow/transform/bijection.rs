//! Monotone functions of one value, with parameters for each.

use burn::tensor::Tensor;
use dozen_kernels::{Spline, rational_quadratic, rational_quadratic_inverse};

use super::LinearSpline;

/// A function of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bijection {
    /// `y = x + t`.
    Additive,
    /// `y = x e^s + t`.
    Affine,
    /// A rational-quadratic spline.
    Spline(Spline),
    /// A spline of straight pieces.
    LinearSpline(LinearSpline),
}

/// `|s|` stays below it, so that no scale is far from what its neighbours can undo.
const STEEPEST: f64 = 6.9;

impl Bijection {
    /// Parameters of one value; all zero they make the identity.
    pub fn parameters(self) -> usize {
        match self {
            Self::Additive => 1,
            Self::Affine => 2,
            Self::Spline(spline) => spline.parameters(),
            Self::LinearSpline(spline) => spline.bins,
        }
    }

    /// `y` and `ln dy/dx` of each value: `[rows, columns]`; parameters `[rows, columns parameters]`, those of a value side by side.
    pub fn forward(self, x: Tensor<2>, parameters: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        match self {
            Self::Additive => (x.clone() + parameters, x.zeros_like()),
            Self::Affine => {
                let (shift, raw) = pairs(parameters);
                affine_forward(x, shift, held(raw, STEEPEST))
            }
            Self::Spline(spline) => rational_quadratic(x, parameters, spline),
            Self::LinearSpline(spline) => spline.forward(x, parameters),
        }
    }

    /// `x` and `ln dx/dy` of each value. No gradient goes through a spline's.
    pub fn inverse(self, y: Tensor<2>, parameters: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        match self {
            Self::Additive => (y.clone() - parameters, y.zeros_like()),
            Self::Affine => {
                let (shift, raw) = pairs(parameters);
                affine_inverse(y, shift, held(raw, STEEPEST))
            }
            Self::Spline(spline) => rational_quadratic_inverse(&y, &parameters, spline),
            Self::LinearSpline(spline) => spline.inverse(y, parameters),
        }
    }
}

/// `y = x e^s + t` and s; all of one shape.
pub(super) fn affine_forward<const D: usize>(
    x: Tensor<D>,
    shift: Tensor<D>,
    log_scale: Tensor<D>,
) -> (Tensor<D>, Tensor<D>) {
    (x * log_scale.clone().exp() + shift, log_scale)
}

/// The inverse of [`affine_forward`], and -s.
pub(super) fn affine_inverse<const D: usize>(
    y: Tensor<D>,
    shift: Tensor<D>,
    log_scale: Tensor<D>,
) -> (Tensor<D>, Tensor<D>) {
    let log_slope = log_scale.neg();
    ((y - shift) * log_slope.clone().exp(), log_slope)
}

/// Within `steepest` of zero.
pub(super) fn held<const D: usize>(raw: Tensor<D>, steepest: f64) -> Tensor<D> {
    raw.clone() / (raw.abs() / steepest + 1.0)
}

/// Parameters in pairs, apart: `[rows, columns]` each.
fn pairs(parameters: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let [rows, both] = parameters.dims();
    let pairs = parameters.reshape([rows * both / 2, 2]);
    let part = |at: usize| pairs.clone().narrow(1, at, 1).reshape([rows, both / 2]);
    (part(0), part(1))
}
