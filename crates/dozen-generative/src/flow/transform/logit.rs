//! Between an interval and the line.

use burn::module::Module;
use burn::tensor::{Tensor, activation};

use super::Stepped;

/// `y = logit(m + (1 - 2m) x)` of values in [0, 1] (Dinh et al. 2017, section 4.1; Papamakarios et al. 2017), or the other way round: `y = sigmoid(x)`,
/// which ends at a uniform base.
#[derive(Module, Debug)]
pub struct Logit {
    #[module(skip)]
    margin: f64,
    #[module(skip)]
    inverse: bool,
}

/// Probabilities are held this far from 0 and 1, whose logits are infinite.
const EDGE: f64 = 1e-7;

impl Logit {
    /// With the margin m that keeps 0 and 1 from infinity.
    pub fn new(margin: f64) -> Self {
        Self { margin, inverse: false }
    }

    /// From the line into (0, 1).
    pub fn sigmoid() -> Self {
        Self { margin: 0.0, inverse: true }
    }

    /// Towards the base.
    pub fn forward(&self, x: Tensor<2>) -> Stepped {
        if self.inverse { self.to_interval(x) } else { self.to_line(x) }
    }

    /// Towards the data.
    pub fn inverse(&self, z: Tensor<2>) -> Stepped {
        if self.inverse { self.to_line(z) } else { self.to_interval(z) }
    }

    fn share(&self) -> f64 {
        1.0 - 2.0 * self.margin
    }

    /// `dy/dx = (1 - 2m) / (p (1 - p))`.
    fn to_line(&self, x: Tensor<2>) -> Stepped {
        let p = (x * self.share() + self.margin).clamp(EDGE, 1.0 - EDGE);
        let (p_log, rest_log) = (p.clone().log(), (p.neg() + 1.0).log());
        let log = (p_log.clone() + rest_log.clone()).neg() + self.share().ln();
        (p_log - rest_log, log.sum_dim(1))
    }

    /// `dx/dy = p (1 - p) / (1 - 2m)`.
    fn to_interval(&self, y: Tensor<2>) -> Stepped {
        let x = (activation::sigmoid(y.clone()) - self.margin) / self.share();
        let log = (activation::log_sigmoid(y.clone()) + activation::log_sigmoid(y.neg())) - self.share().ln();
        (x, log.sum_dim(1))
    }
}
