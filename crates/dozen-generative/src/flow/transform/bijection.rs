//! Monotone functions of one value, with parameters for each.

use burn::tensor::Tensor;
use dozen_kernels::{Spline, rational_quadratic, rational_quadratic_inverse};

use crate::flow::BijectionConfig;

/// A function of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bijection {
    /// `y = x + t`.
    Additive,
    /// `y = x e^s + t`.
    Affine,
    /// A rational-quadratic spline.
    Spline(Spline),
}

/// `|s|` stays below it, so that no scale is far from what its neighbours can undo.
const STEEPEST: f64 = 6.9;

impl From<BijectionConfig> for Bijection {
    fn from(config: BijectionConfig) -> Self {
        match config {
            BijectionConfig::Additive => Self::Additive,
            BijectionConfig::Affine => Self::Affine,
            BijectionConfig::Spline { bins, bound } => Self::Spline(Spline { bins, bound }),
        }
    }
}

impl Bijection {
    /// Parameters of one value; all zero they make the identity.
    pub fn parameters(self) -> usize {
        match self {
            Self::Additive => 1,
            Self::Affine => 2,
            Self::Spline(spline) => spline.parameters(),
        }
    }

    /// `y` and `ln dy/dx` of each value: `[rows, columns]`; parameters `[rows, columns parameters]`, those of a value side by side.
    pub fn forward(self, x: Tensor<2>, parameters: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        match self {
            Self::Additive => (x.clone() + parameters, x.zeros_like()),
            Self::Affine => {
                let (shift, log_scale) = affine(parameters);
                (x * log_scale.clone().exp() + shift, log_scale)
            }
            Self::Spline(spline) => rational_quadratic(x, parameters, spline),
        }
    }

    /// `x` and `ln dx/dy` of each value. No gradient goes through a spline's.
    pub fn inverse(self, y: Tensor<2>, parameters: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        match self {
            Self::Additive => (y.clone() - parameters, y.zeros_like()),
            Self::Affine => {
                let (shift, log_scale) = affine(parameters);
                ((y - shift) * log_scale.clone().neg().exp(), log_scale.neg())
            }
            Self::Spline(spline) => rational_quadratic_inverse(&y, &parameters, spline),
        }
    }
}

/// Shifts and held logarithms of scales, `[rows, columns]` each.
fn affine(parameters: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let [rows, both] = parameters.dims();
    let pairs = parameters.reshape([rows * both / 2, 2]);
    let part = |at: usize| pairs.clone().narrow(1, at, 1).reshape([rows, both / 2]);
    let raw = part(1);
    let held = raw.clone() / (raw.abs() / STEEPEST + 1.0);
    (part(0), held)
}
