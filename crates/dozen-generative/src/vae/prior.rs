//! p(z): what the latent is before a row is seen.

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Tensor};
use dozen_kernels::log_sum_exp;

use super::PriorConfig;
use super::posterior::normal_log_prob;
use crate::flow::{Base, BaseConfig};

/// A distribution of `[rows, latent]`.
#[derive(Module, Debug)]
pub(super) struct Prior {
    /// A mean for each input of the condition: `[condition, latent]`.
    class_means: Option<Param<Tensor<2>>>,
    mixture: Option<Base>,
    /// Inputs whose posteriors are mixed: `[parts, inputs]`.
    inputs: Option<Param<Tensor<2>>>,
    /// Standard normal.
    standard: Base,
}

impl Prior {
    pub(super) fn new(config: PriorConfig, [latent, condition, inputs]: [usize; 3], device: &Device) -> Self {
        let normal = |shape: [usize; 2], deviation: f64| {
            Param::from_tensor(Tensor::random(shape, Distribution::Normal(0.0, deviation), device))
        };
        let class_means = (config == PriorConfig::ClassMeans).then(|| normal([condition, latent], 0.5));
        let mixture = match config {
            PriorConfig::Mixture { parts } => Some(Base::new(BaseConfig::Mixture { parts }, latent, device)),
            _ => None,
        };
        let inputs = match config {
            PriorConfig::Vamp { parts } => Some(normal([parts, inputs], 0.1)),
            _ => None,
        };
        Self { class_means, mixture, inputs, standard: Base::new(BaseConfig::Gaussian, latent, device) }
    }

    /// With a VampPrior's inputs begun at these rows.
    #[must_use]
    pub(super) fn fitted(self, rows: &Tensor<2>) -> Self {
        let inputs = self.inputs.map(|inputs| {
            let parts = inputs.dims()[0].min(rows.dims()[0]);
            let begun = rows.clone().narrow(0, 0, parts);
            inputs.map(|old| {
                let rest = old.dims()[0] - parts;
                let all = match rest {
                    0 => begun.clone(),
                    _ => Tensor::cat(vec![begun.clone(), old.narrow(0, parts, rest)], 0),
                };
                all.detach().require_grad()
            })
        });
        Self { inputs, ..self }
    }

    /// A VampPrior's inputs.
    pub(super) fn inputs(&self) -> Option<Tensor<2>> {
        self.inputs.as_ref().map(Param::val)
    }

    /// The mean of each row's class; `None` where it is zero.
    pub(super) fn mean(&self, condition: Option<&Tensor<2>>) -> Option<Tensor<2>> {
        let means = self.class_means.as_ref()?.val();
        Some(condition?.clone().matmul(means))
    }

    /// Whether it is normal with deviation one.
    pub(super) fn is_normal(&self) -> bool {
        self.mixture.is_none() && self.inputs.is_none()
    }

    /// `ln p(z)` in nats: `[rows, 1]`. A VampPrior takes the moments of its inputs' posteriors, `[parts, latent]` each.
    pub(super) fn log_prob(
        &self,
        z: Tensor<2>,
        condition: Option<&Tensor<2>>,
        moments: Option<&(Tensor<2>, Tensor<2>)>,
    ) -> Tensor<2> {
        if let Some((means, log_deviations)) = moments {
            let parts = means.dims()[0];
            let z = z.unsqueeze_dim::<3>(1);
            let each = |of: &Tensor<2>| of.clone().unsqueeze_dim::<3>(0);
            let terms = normal_log_prob(z, each(means), each(log_deviations)).sum_dim(2).squeeze_dim::<2>(2);
            return log_sum_exp(terms, 1) - (parts as f64).ln();
        }
        match (&self.mixture, self.mean(condition)) {
            (Some(mixture), _) => mixture.log_prob(z),
            (None, Some(mean)) => self.standard.log_prob(z - mean),
            (None, None) => self.standard.log_prob(z),
        }
    }

    /// Draws of what needs no encoder; row `i` depends only on the seed and `i`.
    pub(super) fn sample(
        &self,
        rows: usize,
        condition: Option<&Tensor<2>>,
        seed: u64,
        device: &Device,
    ) -> Tensor<2> {
        if let Some(mixture) = &self.mixture {
            return mixture.sample(rows, seed, device);
        }
        let z = self.standard.sample(rows, seed, device);
        match self.mean(condition) {
            Some(mean) => z + mean,
            None => z,
        }
    }
}
