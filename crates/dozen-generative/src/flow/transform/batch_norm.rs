//! Batch normalisation as a step of a flow (Dinh et al. 2017, section 3.7; Papamakarios et al. 2017, appendix B).

use burn::module::{Module, Param, RunningState};
use burn::tensor::{Device, Tensor};

use super::{Stepped, for_each_row};

/// `y = (x - mean) / sqrt(variance + epsilon) e^s + t` with the mean and variance of the batch in training, and their moving averages in use.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// s: `[columns]`.
    log_scale: Param<Tensor<1>>,
    /// t: `[columns]`.
    shift: Param<Tensor<1>>,
    mean: RunningState<Tensor<1>>,
    variance: RunningState<Tensor<1>>,
}

const EPSILON: f64 = 1e-5;

/// The share of a batch's mean and variance in the averages after it.
const MOMENTUM: f64 = 0.1;

impl BatchNorm {
    /// Of mean 0 and variance 1.
    pub fn new(columns: usize, device: &Device) -> Self {
        let zeros = || Tensor::zeros([columns], device);
        Self {
            log_scale: Param::from_tensor(zeros()),
            shift: Param::from_tensor(zeros()),
            mean: RunningState::new(zeros()),
            variance: RunningState::new(Tensor::ones([columns], device)),
        }
    }

    /// With the averages begun at a batch's.
    #[must_use]
    pub fn fitted(self, x: &Tensor<2>) -> Self {
        let (mean, variance) = moments(&x.clone().detach());
        Self { mean: RunningState::new(mean), variance: RunningState::new(variance), ..self }
    }

    /// Towards the base, by the averages.
    pub fn forward(&self, x: Tensor<2>) -> Stepped {
        self.scaled(x, self.mean.value(), self.variance.value())
    }

    /// Towards the base, by the batch, which moves the averages. The gradient goes through its mean and variance.
    pub fn forward_in_training(&self, x: Tensor<2>) -> Stepped {
        let (mean, variance) = moments(&x);
        let moved = |state: &RunningState<Tensor<1>>, new: &Tensor<1>| {
            let old = state.value_sync();
            state.update(old * (1.0 - MOMENTUM) + new.clone().detach() * MOMENTUM);
            // At once, so that a checkpoint has it.
            state.value_sync();
        };
        moved(&self.mean, &mean);
        moved(&self.variance, &variance);
        self.scaled(x, mean, variance)
    }

    /// Towards the data, by the averages.
    pub fn inverse(&self, z: Tensor<2>) -> Stepped {
        let rows = z.dims()[0];
        let (mean, log) = (self.mean.value(), self.log_slopes(self.variance.value()));
        let x = (z - self.shift.val().unsqueeze()) * log.clone().neg().exp().unsqueeze() + mean.unsqueeze();
        (x, for_each_row(log.sum().neg(), rows))
    }

    fn scaled(&self, x: Tensor<2>, mean: Tensor<1>, variance: Tensor<1>) -> Stepped {
        let (rows, log) = (x.dims()[0], self.log_slopes(variance));
        let y = (x - mean.unsqueeze()) * log.clone().exp().unsqueeze() + self.shift.val().unsqueeze();
        (y, for_each_row(log.sum(), rows))
    }

    /// `s - ln(variance + epsilon) / 2`.
    fn log_slopes(&self, variance: Tensor<1>) -> Tensor<1> {
        self.log_scale.val() - (variance + EPSILON).log() * 0.5
    }
}

/// The mean and variance of each column.
fn moments(x: &Tensor<2>) -> (Tensor<1>, Tensor<1>) {
    let mean = x.clone().mean_dim(0);
    let variance = (x.clone() - mean.clone()).square().mean_dim(0);
    (mean.squeeze_dim(0), variance.squeeze_dim(0))
}
