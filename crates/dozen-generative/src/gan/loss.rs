//! What both sides make small, as functions of the critic's value f, the logit of `D = sigmoid(f)`.

use burn::tensor::Tensor;
use dozen_kernels::{Activation, activate};

use super::Loss;

/// `ln(1 + e^x)`: `-ln D = softplus(-f)`, and `-ln(1 - D) = softplus(f)`.
fn softplus(x: Tensor<2>) -> Tensor<2> {
    activate(x, Activation::Softplus)
}

impl Loss {
    /// The critic's loss at data and samples, `[rows, 1]` each; data is labelled `1 - smoothing`.
    pub fn of_critic(self, real: Tensor<2>, fake: Tensor<2>, smoothing: f64) -> Tensor<1> {
        match self {
            Self::Minimax | Self::NonSaturating => {
                let mut real_loss = softplus(real.clone().neg()) * (1.0 - smoothing);
                if smoothing > 0.0 {
                    real_loss = real_loss + softplus(real) * smoothing;
                }
                real_loss.mean() + softplus(fake).mean()
            }
            Self::LeastSquares => ((real - 1.0).square().mean() + fake.square().mean()) * 0.5,
            Self::Hinge => {
                let hinge = |x: Tensor<2>| activate(x + 1.0, Activation::Relu).mean();
                hinge(real.neg()) + hinge(fake)
            }
            Self::Wasserstein => fake.mean() - real.mean(),
        }
    }

    /// The generator's loss at its samples, `[rows, 1]`.
    pub fn of_generator(self, fake: Tensor<2>) -> Tensor<1> {
        match self {
            Self::Minimax => softplus(fake).mean().neg(),
            Self::NonSaturating => softplus(fake.neg()).mean(),
            Self::LeastSquares => (fake - 1.0).square().mean() * 0.5,
            Self::Hinge | Self::Wasserstein => fake.mean().neg(),
        }
    }

    /// The value of f above which a row counts as data.
    pub fn threshold(self) -> f64 {
        if self == Self::LeastSquares { 0.5 } else { 0.0 }
    }
}
