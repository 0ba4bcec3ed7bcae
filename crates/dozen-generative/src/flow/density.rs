//! The flow itself: steps composed over a base.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::transform::{Stepped, Transform, no_change};
use super::{Base, FlowConfig};

/// A flow of `[rows, columns]`, conditional on `[rows, context]` where there is a context.
#[derive(Module, Debug)]
pub struct Flow {
    pub(crate) transforms: Vec<Transform>,
    pub(crate) base: Base,
}

impl Flow {
    /// With starting weights.
    pub fn new(config: &FlowConfig, columns: usize, context: usize, seed: u64, device: &Device) -> Self {
        device.seed(seed);
        let transform = |(index, transform): (usize, _)| {
            Transform::new(transform, columns, context, seed.wrapping_add(index as u64), device)
        };
        Self {
            transforms: config.transforms.iter().enumerate().map(transform).collect(),
            base: Base::new(config.base, columns, device),
        }
    }

    /// The same with each [`Actnorm`](super::transform::Actnorm) begun at what a batch becomes before it.
    #[must_use]
    pub fn fitted(mut self, x: &Tensor<2>, context: Option<&Tensor<2>>) -> Self {
        let mut x = x.clone();
        let mut fitted = Vec::new();
        for transform in self.transforms {
            let transform = match transform {
                Transform::Actnorm(step) => Transform::Actnorm(step.fitted(&x)),
                other => other,
            };
            x = transform.forward(x, context).0.detach();
            fitted.push(transform);
        }
        self.transforms = fitted;
        self
    }

    /// `z` and `ln |det dz/dx|`.
    pub fn encode(&self, x: Tensor<2>, context: Option<&Tensor<2>>) -> Stepped {
        let mut log = no_change(&x);
        let mut z = x;
        for transform in &self.transforms {
            let (next, own) = transform.forward(z, context);
            (z, log) = (next, log + own);
        }
        (z, log)
    }

    /// `x` and `ln |det dx/dz|`.
    pub fn decode(&self, z: Tensor<2>, context: Option<&Tensor<2>>) -> Stepped {
        let mut log = no_change(&z);
        let mut x = z;
        for transform in self.transforms.iter().rev() {
            let (next, own) = transform.inverse(x, context);
            (x, log) = (next, log + own);
        }
        (x, log)
    }

    /// `ln p(x)` in nats: `[rows, 1]`.
    pub fn log_prob(&self, x: Tensor<2>, context: Option<&Tensor<2>>) -> Tensor<2> {
        let (z, log) = self.encode(x, context);
        self.base.log_prob(z) + log
    }

    /// What training makes small, by its name: a rectified flow's matching loss at times and base rows drawn by a seed, else the mean
    /// negative log-probability in nats.
    pub(crate) fn loss(
        &self,
        x: Tensor<2>,
        context: Option<&Tensor<2>>,
        seed: u64,
    ) -> (&'static str, Tensor<1>) {
        let [Transform::Rectified(field)] = &self.transforms[..] else {
            return ("nats_per_row", self.log_prob(x, context).mean().neg());
        };
        let (rows, device) = (x.dims()[0], x.device());
        let base = self.base.sample(rows, seed, &device);
        // One time in each of as many equal parts.
        let mut rng = StdRng::seed_from_u64(seed);
        let times: Vec<f32> = (0..rows).map(|row| (row as f32 + rng.random::<f32>()) / rows as f32).collect();
        let times = Tensor::from_data(TensorData::new(times, [rows, 1]), &device);
        ("matching_loss", field.matching_loss(base, x, times, context))
    }

    /// What rows become after each step, themselves first: for pictures of the way.
    pub fn path(&self, x: Tensor<2>, context: Option<&Tensor<2>>) -> Vec<Tensor<2>> {
        let mut path = vec![x];
        for transform in &self.transforms {
            let next = transform.forward(path[path.len() - 1].clone(), context).0;
            path.push(next);
        }
        path
    }
}
