//! The planar step (Rezende and Mohamed 2015, eq. 10-12): `y = x + u tanh(w.x + b)`.

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Tensor};

use super::Stepped;

/// One bend along a direction.
#[derive(Module, Debug)]
pub struct Planar {
    /// `[columns, 1]`.
    w: Param<Tensor<2>>,
    /// `[1, columns]`, before what keeps the step invertible.
    u: Param<Tensor<2>>,
    /// `[1]`.
    b: Param<Tensor<1>>,
}

/// Halvings of the interval in which an inverse lies.
const HALVINGS: usize = 60;

impl Planar {
    /// With small random directions.
    pub fn new(columns: usize, device: &Device) -> Self {
        let bound = 1.0 / (columns as f64).sqrt();
        let random = |shape: [usize; 2]| {
            Param::from_tensor(Tensor::random(shape, Distribution::Uniform(-bound, bound), device))
        };
        Self {
            w: random([columns, 1]),
            u: random([1, columns]),
            b: Param::from_tensor(Tensor::zeros([1], device)),
        }
    }

    /// u with `w.u > -1`, without which the step could not be undone (appendix A.1): `u + (m(w.u) - w.u) w / |w|^2` with
    /// `m(a) = -1 + ln(1 + e^a)`.
    fn direction(&self) -> (Tensor<2>, Tensor<2>) {
        let (w, u) = (self.w.val(), self.u.val());
        let along = u.clone().matmul(w.clone());
        let held = burn::tensor::activation::softplus(along.clone(), 1.0) - 1.0;
        let squared = w.clone().square().sum().reshape([1, 1]) + 1e-12;
        let u = u + (held.clone() - along) / squared * w.transpose();
        (u, held)
    }

    /// Towards the base: `ln |1 + tanh'(w.x + b) w.u|`.
    pub fn forward(&self, x: Tensor<2>) -> Stepped {
        let (u, along) = self.direction();
        let h = (x.clone().matmul(self.w.val()) + self.b.val().unsqueeze()).tanh();
        let slope = h.clone().square().neg() + 1.0;
        (x + h.matmul(u), (slope * along + 1.0).log())
    }

    /// Towards the data: `w.y = a + w.u tanh(a + b)` grows with `a = w.x`, which is found by halving; then `x = y - u tanh(a + b)`.
    pub fn inverse(&self, y: &Tensor<2>) -> Stepped {
        let (u, along) = self.direction();
        let b = self.b.val().unsqueeze::<2>();
        let target = y.clone().matmul(self.w.val());
        // |tanh| < 1, so that a lies within |w.u| of w.y.
        let reach = along.clone().abs() + 1e-6;
        let (mut low, mut high) = (target.clone() - reach.clone(), target.clone() + reach);
        for _ in 0..HALVINGS {
            let middle = (low.clone() + high.clone()) * 0.5;
            let value = middle.clone() + (middle.clone() + b.clone()).tanh() * along.clone();
            let above = value.greater(target.clone());
            high = high.mask_where(above.clone(), middle.clone());
            low = middle.mask_where(above, low);
        }
        let h = ((low + high) * 0.5 + b).tanh();
        let slope = h.clone().square().neg() + 1.0;
        (y.clone() - h.matmul(u), (slope * along + 1.0).log().neg())
    }
}
