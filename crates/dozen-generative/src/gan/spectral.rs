//! The greatest singular value of a weight, followed by power iteration (Miyato et al. 2018, algorithm 1).

use burn::module::{Module, RunningState};
use burn::tensor::{Device, Distribution, Tensor};

/// Singular vectors of the greatest singular value of a matrix `[rows, columns]`, as far as iterations have come.
#[derive(Module, Debug)]
pub(super) struct Spectral {
    /// `[rows]`.
    left: RunningState<Tensor<1>>,
    /// `[columns]`.
    right: RunningState<Tensor<1>>,
}

impl Spectral {
    pub(super) fn new([rows, columns]: [usize; 2], device: &Device) -> Self {
        let random = |size: usize| {
            RunningState::new(unit(Tensor::random([size], Distribution::Normal(0.0, 1.0), device)))
        };
        Self { left: random(rows), right: random(columns) }
    }

    /// `right = W' left / |..|`, `left = W right / |..|`.
    pub(super) fn iterate(&self, weight: Tensor<2>) {
        let weight = weight.detach();
        let left = self.left.value().unsqueeze_dim::<2>(0);
        let right = unit(left.matmul(weight.clone()).squeeze_dim::<1>(0));
        let left = unit(weight.matmul(right.clone().unsqueeze_dim::<2>(1)).squeeze_dim::<1>(1));
        for (state, value) in [(&self.left, left), (&self.right, right)] {
            state.update(value);
            // At once, so that a checkpoint has it.
            state.value_sync();
        }
    }

    /// `left' W right`, whose gradient reaches the weight: the greatest singular value once the iterations have settled.
    pub(super) fn norm(&self, weight: Tensor<2>) -> Tensor<1> {
        let left = self.left.value().detach().unsqueeze_dim::<2>(0);
        let right = self.right.value().detach().unsqueeze_dim::<2>(1);
        left.matmul(weight).matmul(right).reshape([1])
    }
}

fn unit(x: Tensor<1>) -> Tensor<1> {
    let norm = x.clone().square().sum().sqrt();
    x / (norm + 1e-12)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensors::to_host;

    #[test]
    fn the_norm_is_the_greatest_singular_value() {
        let device = Device::flex();
        // Of Q diag(3, 1, 0.5) P' with rotations Q and P by 0.3 and 0.7 in the first two axes.
        let (q, p) = (0.3_f32, 0.7_f32);
        let rotation = |a: f32| [[a.cos(), -a.sin(), 0.0], [a.sin(), a.cos(), 0.0], [0.0, 0.0, 1.0]];
        let of = |m: [[f32; 3]; 3]| Tensor::<2>::from_floats(m, &device);
        let middle = of([[3.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.5]]);
        let weight = of(rotation(q)).matmul(middle).matmul(of(rotation(p)).transpose());
        let spectral = Spectral::new([3, 3], &device);
        for _ in 0..30 {
            spectral.iterate(weight.clone());
        }
        assert!((to_host(spectral.norm(weight))[0] - 3.0).abs() < 1e-4);
    }
}
