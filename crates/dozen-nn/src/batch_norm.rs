//! Batch normalisation (Ioffe and Szegedy 2015) with its running averages.

use burn::module::{Module, Param, RunningState};
use burn::tensor::{Device, Tensor};
use dozen_kernels::{Activation, BatchNormalized, activate, batch_norm_activate};

/// `y = gamma (x - mean) / sqrt(variance + epsilon) + beta`, by the batch in training and by running averages in use.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// `[channels]`.
    pub gamma: Param<Tensor<1>>,
    /// `[channels]`.
    pub beta: Param<Tensor<1>>,
    /// Average over batches, `[channels]`.
    pub running_mean: RunningState<Tensor<1>>,
    /// Average over batches of the variance, each by one less than its number of values: `[channels]`.
    pub running_variance: RunningState<Tensor<1>>,
    #[module(skip)]
    epsilon: f64,
    #[module(skip)]
    momentum: f64,
}

impl BatchNorm {
    /// Of mean 0 and variance 1, with PyTorch's constants: epsilon 1e-5, and a batch's share in the averages 0.1.
    pub fn new(channels: usize, device: &Device) -> Self {
        Self::with(channels, 1e-5, 0.1, device)
    }

    /// With constants of one's own; `momentum` is a batch's share in the averages.
    pub fn with(channels: usize, epsilon: f64, momentum: f64, device: &Device) -> Self {
        let ones = || Tensor::ones([channels], device);
        let zeros = || Tensor::zeros([channels], device);
        Self {
            gamma: Param::from_tensor(ones()),
            beta: Param::from_tensor(zeros()),
            running_mean: RunningState::new(zeros()),
            running_variance: RunningState::new(ones()),
            epsilon,
            momentum,
        }
    }

    /// What is added to variances.
    pub fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// Of each channel over images and pixels, and the activation after it: `[batch, channels, height, width]`.
    pub fn images(&self, x: Tensor<4>, activation: Option<Activation>, training: bool) -> Tensor<4> {
        if !training {
            let channels = x.dims()[1];
            let (scale, shift) = self.scale_and_shift();
            let shape = [1, channels, 1, 1];
            let y = x * scale.reshape(shape) + shift.reshape(shape);
            return activation.map_or(y.clone(), |kind| activate(y, kind));
        }
        let [batch, _, height, width] = x.dims();
        let (gamma, beta) = (self.gamma.val(), self.beta.val());
        let BatchNormalized { output, mean, variance } =
            batch_norm_activate(x, gamma, beta, self.epsilon, activation);
        self.follow(mean, variance, batch * height * width);
        output
    }

    /// Of each column over rows, and the activation after it: `[rows, columns]`.
    pub fn rows(&self, x: Tensor<2>, activation: Option<Activation>, training: bool) -> Tensor<2> {
        let y = if training {
            let mean = x.clone().mean_dim(0);
            let centred = x - mean.clone();
            let variance = centred.clone().square().mean_dim(0);
            let rows = centred.dims()[0];
            self.follow(
                mean.squeeze_dim::<1>(0).detach(),
                variance.clone().squeeze_dim::<1>(0).detach(),
                rows,
            );
            let scale = (variance + self.epsilon).sqrt().recip() * self.gamma.val().unsqueeze();
            centred * scale + self.beta.val().unsqueeze()
        } else {
            let (scale, shift) = self.scale_and_shift();
            x * scale.unsqueeze() + shift.unsqueeze()
        };
        activation.map_or(y.clone(), |kind| activate(y, kind))
    }

    /// `gamma / s` and `beta - mean gamma / s` by the averages, with `s = sqrt(variance + epsilon)`.
    pub fn scale_and_shift(&self) -> (Tensor<1>, Tensor<1>) {
        let scale = self.gamma.val() / (self.running_variance.value() + self.epsilon).sqrt();
        let shift = self.beta.val() - self.running_mean.value() * scale.clone();
        (scale, shift)
    }

    fn follow(&self, mean: Tensor<1>, variance: Tensor<1>, values: usize) {
        let unbiased = values as f64 / (values as f64 - 1.0).max(1.0);
        for (state, new) in [(&self.running_mean, mean), (&self.running_variance, variance * unbiased)] {
            let old = state.value_sync().detach();
            state.update(old * (1.0 - self.momentum) + new.detach() * self.momentum);
            // At once, so that a checkpoint has it.
            state.value_sync();
        }
    }
}
