//! The radial step (Rezende and Mohamed 2015, eq. 13-14): `y = x + b (x - c) / (a + r)` with `r = |x - c|`.

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Tensor, activation};

use super::Stepped;

/// One bend around a point.
#[derive(Module, Debug)]
pub struct Radial {
    /// c: `[1, columns]`.
    centre: Param<Tensor<2>>,
    /// `[1, 1]` each, before what keeps a positive and b above -a.
    log_a: Param<Tensor<2>>,
    raw_b: Param<Tensor<2>>,
}

impl Radial {
    /// Around a random point near zero.
    pub fn new(columns: usize, device: &Device) -> Self {
        let one = |value: f64| Param::from_tensor(Tensor::full([1, 1], value, device));
        let centre = Tensor::random([1, columns], Distribution::Normal(0.0, 0.5), device);
        // softplus(ln(e - 1)) = 1 = a: b begins at zero, with the identity.
        Self { centre: Param::from_tensor(centre), log_a: one(0.0), raw_b: one(1.0_f64.exp_m1().ln()) }
    }

    /// a and b: `b = -a + softplus(raw)`.
    fn shape(&self) -> (Tensor<2>, Tensor<2>) {
        let a = self.log_a.val().exp();
        (a.clone(), activation::softplus(self.raw_b.val(), 1.0) - a)
    }

    /// Towards the base: `(n - 1) ln(1 + b h) + ln(1 + b h - b r h^2)` with `h = 1 / (a + r)`.
    pub fn forward(&self, x: Tensor<2>) -> Stepped {
        let (a, b) = self.shape();
        let offset = x.clone() - self.centre.val();
        let r = length(&offset);
        let h = (r.clone() + a).recip();
        let log = log_determinant(x.dims()[1], b.clone(), h.clone(), r);
        (x + offset * h * b, log)
    }

    /// Towards the data: `|y - c| = r (1 + b / (a + r))` is a parabola in r.
    pub fn inverse(&self, y: Tensor<2>) -> Stepped {
        let (a, b) = self.shape();
        let offset = y.clone() - self.centre.val();
        let far = length(&offset);
        // r^2 + (a + b - far) r - a far = 0.
        let half = (a.clone() + b.clone() - far.clone()) * 0.5;
        let root = (half.clone().square() + a.clone() * far.clone()).sqrt();
        let r = (root - half).clamp_min(0.0);
        let h = (r.clone() + a).recip();
        let log = log_determinant(y.dims()[1], b.clone(), h.clone(), r).neg();
        (offset / (h * b + 1.0) + self.centre.val(), log)
    }
}

/// `|v|` of each row, with a slope at zero.
fn length(rows: &Tensor<2>) -> Tensor<2> {
    (rows.clone().square().sum_dim(1) + 1e-12).sqrt()
}

fn log_determinant(columns: usize, b: Tensor<2>, h: Tensor<2>, r: Tensor<2>) -> Tensor<2> {
    let out = h.clone() * b.clone() + 1.0;
    let along = out.clone() - r * h.square() * b;
    out.log() * (columns as f64 - 1.0) + along.log()
}
