//! What holds the slopes of a critic.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use super::Critic;

/// `|grad f|` at each row: `[rows, 1]`.
pub fn gradient_norms(critic: &Critic, x: Tensor<2>, condition: Option<&Tensor<2>>) -> Tensor<2> {
    (critic.input_gradient(x, condition).square().sum_dim(1) + 1e-12).sqrt()
}

/// `E[(|grad f| - 1)^2]` at `shares` of the way from samples to data, `[rows, 1]` in [0, 1] (Gulrajani et al. 2017, algorithm 1).
pub fn gradient_penalty(
    critic: &Critic,
    real: &Tensor<2>,
    fake: &Tensor<2>,
    shares: Tensor<2>,
    condition: Option<&Tensor<2>>,
) -> Tensor<1> {
    let between = fake.clone() + (real.clone() - fake.clone()) * shares;
    (gradient_norms(critic, between, condition) - 1.0).square().mean()
}

/// `E[|grad f|^2] / 2` at data (Mescheder et al. 2018, eq. 9).
pub(super) fn r1(critic: &Critic, real: Tensor<2>, condition: Option<&Tensor<2>>) -> Tensor<1> {
    critic.input_gradient(real, condition).square().sum_dim(1).mean() * 0.5
}

/// Every weight and bias held within `bound` of zero (Arjovsky et al. 2017, algorithm 1).
pub fn clip_weights(critic: Critic, bound: f64) -> Critic {
    struct Clip(f64);
    impl ModuleMapper for Clip {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let bound = self.0;
            param.map(|tensor| {
                let tracked = tensor.is_require_grad();
                // Outside of what automatic differentiation follows: what is clipped is a weight again.
                let held = Tensor::from_inner(tensor.inner().clamp(-bound, bound));
                if tracked { held.require_grad() } else { held }
            })
        }
    }
    critic.map(&mut Clip(bound))
}
