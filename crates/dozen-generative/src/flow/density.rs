//! The flow itself: steps composed over a base.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::transform::{Stepped, Transform, no_change};
use super::{Base, Dequantizer, FlowConfig};

/// A flow of `[rows, columns]`, conditional on `[rows, context]` where there is a context.
#[derive(Module, Debug)]
pub struct Flow {
    pub(crate) transforms: Vec<Transform>,
    pub(crate) base: Base,
    /// What makes whole numbers continuous, where it is learnt.
    pub(crate) dequantizer: Option<Dequantizer>,
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
            dequantizer: None,
        }
    }

    /// The same with what is begun at the data begun at what a batch, which is not tracked, becomes before it.
    #[must_use]
    pub fn fitted(mut self, mut x: Tensor<2>, context: Option<&Tensor<2>>) -> Self {
        if !self.base.begins_at_data() && !self.transforms.iter().any(Transform::begins_at_data) {
            return self;
        }
        let mut fitted = Vec::new();
        for transform in self.transforms {
            let transform = transform.fitted(&Tensor::from_inner(x.clone()));
            x = transform.valid().forward(x, context).0;
            fitted.push(transform);
        }
        self.transforms = fitted;
        self.base = self.base.fitted(&x);
        self
    }

    /// `z` and `ln |det dz/dx|`.
    pub fn encode(&self, x: Tensor<2>, context: Option<&Tensor<2>>) -> Stepped {
        self.through(x, |transform, x| transform.forward(x, context))
    }

    fn through(&self, x: Tensor<2>, forward: impl Fn(&Transform, Tensor<2>) -> Stepped) -> Stepped {
        let mut log = no_change(&x);
        let mut z = x;
        for transform in &self.transforms {
            let (next, own) = forward(transform, z);
            (z, log) = (next, log + own);
        }
        (z, log)
    }

    /// Rows as the transforms take them, and what their noise adds to `ln p`: nothing, but where a flow makes it.
    pub(crate) fn with_noise(
        &self,
        x: Tensor<2>,
        context: Option<&Tensor<2>>,
        seed: u64,
    ) -> (Tensor<2>, Option<Tensor<2>>) {
        match &self.dequantizer {
            Some(dequantizer) => {
                let (x, log) = dequantizer.add_noise(x, context, seed);
                (x, Some(log))
            }
            None => (x, None),
        }
    }

    /// `x` and `ln |det dx/dz|`.
    pub fn decode(&self, z: Tensor<2>, context: Option<&Tensor<2>>) -> Stepped {
        let mut log = no_change(&z);
        let mut x = z;
        for transform in self.transforms.iter().rev() {
            dozen_run::stop_point();
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

    /// What training makes small.
    pub(crate) fn loss_name(&self) -> &'static str {
        if matches!(&self.transforms[..], [Transform::Rectified(_)]) {
            "matching_loss"
        } else {
            "nats_per_row"
        }
    }

    /// What training makes small: a rectified flow's matching loss at times drawn by a seed, and base rows that are given or drawn by it too; else
    /// the mean negative log-probability in nats.
    pub(crate) fn loss(
        &self,
        x: Tensor<2>,
        context: Option<&Tensor<2>>,
        base: Option<Tensor<2>>,
        seed: u64,
    ) -> Tensor<1> {
        let (x, noise_log) = self.with_noise(x, context, seed);
        let (rows, device) = (x.dims()[0], x.device());
        let [Transform::Rectified(field)] = &self.transforms[..] else {
            let in_training = device.is_autodiff();
            let (z, log) = self.through(x, |transform, x| {
                if in_training {
                    transform.forward_in_training(x, context)
                } else {
                    transform.forward(x, context)
                }
            });
            let log_prob = self.base.log_prob(z) + log;
            let bound = noise_log.map_or(log_prob.clone(), |noise| log_prob + noise);
            return bound.mean().neg();
        };
        let base = base.unwrap_or_else(|| self.base.sample(rows, seed, &device));
        // One time in each of as many equal parts.
        let mut rng = StdRng::seed_from_u64(seed);
        let times: Vec<f32> = (0..rows).map(|row| (row as f32 + rng.random::<f32>()) / rows as f32).collect();
        let times = Tensor::from_data(TensorData::new(times, [rows, 1]), &device);
        field.matching_loss(base, x, times, context)
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
