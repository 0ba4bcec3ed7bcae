//! What a flow ends at.

use std::f64::consts::PI;

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution as _, StandardNormal, StudentT};

use super::BaseConfig;
use crate::tensors::to_host;

/// A distribution of independent or mixed columns.
#[derive(Module, Debug)]
pub struct Base {
    /// Of a mixture's parts: `[parts, columns]`, and `[parts]` for their weights' logits.
    means: Option<Param<Tensor<2>>>,
    log_deviations: Option<Param<Tensor<2>>>,
    logits: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: BaseConfig,
    #[module(skip)]
    columns: usize,
}

impl Base {
    /// A mixture's means begin at random.
    pub fn new(config: BaseConfig, columns: usize, device: &Device) -> Self {
        let parts = match config {
            BaseConfig::Mixture { parts } => Some(parts),
            _ => None,
        };
        let normal = Distribution::Normal(0.0, 1.0);
        Self {
            means: parts.map(|parts| Param::from_tensor(Tensor::random([parts, columns], normal, device))),
            log_deviations: parts.map(|parts| Param::from_tensor(Tensor::zeros([parts, columns], device))),
            logits: parts.map(|parts| Param::from_tensor(Tensor::zeros([parts], device))),
            config,
            columns,
        }
    }

    /// Whether the base begins at data.
    pub fn begins_at_data(&self) -> bool {
        matches!(self.config, BaseConfig::Mixture { .. })
    }

    /// With a mixture's means begun at rows that are far apart, each drawn in proportion to its squared distance from those before it (Arthur and
    /// Vassilvitskii 2007), and the deviations at the distance of rows from the nearest of them: no part of the data is left without one.
    #[must_use]
    pub fn fitted(self, z: &Tensor<2>) -> Self {
        let (Some(means), Some(log_deviations)) = (&self.means, &self.log_deviations) else { return self };
        let (parts, columns) = (means.dims()[0], self.columns);
        let (chosen, squared) = far_apart(&to_host(z.clone()), columns, parts);
        let deviation = (squared / columns as f64).sqrt().max(1e-3);
        let set = |param: &Param<Tensor<2>>, values: Vec<f32>| {
            let data = TensorData::new(values, [parts, columns]);
            param.clone().map(|old| Tensor::from_data(data, &old.device()).require_grad())
        };
        let log_deviation = deviation.ln() as f32;
        Self {
            means: Some(set(means, chosen)),
            log_deviations: Some(set(log_deviations, vec![log_deviation; parts * columns])),
            ..self
        }
    }

    /// `ln p(z)` in nats: `[rows, columns] -> [rows, 1]`.
    pub fn log_prob(&self, z: Tensor<2>) -> Tensor<2> {
        let columns = self.columns as f64;
        match (self.config, &self.means, &self.log_deviations, &self.logits) {
            (BaseConfig::StudentT { degrees }, ..) => {
                let (half, n) = (f64::midpoint(degrees, 1.0), degrees);
                let constant = ln_gamma(half) - ln_gamma(n / 2.0) - 0.5 * (n * PI).ln();
                (z.square() / n + 1.0).log().sum_dim(1) * -half + constant * columns
            }
            (_, Some(means), Some(log_deviations), Some(logits)) => {
                let weights = dozen_kernels::log_softmax(logits.val().unsqueeze());
                let parts = means.dims()[0];
                let terms = (0..parts).map(|part| {
                    let mean = means.val().narrow(0, part, 1);
                    let log_deviation = log_deviations.val().narrow(0, part, 1);
                    let scaled = (z.clone() - mean) * log_deviation.clone().neg().exp();
                    scaled.square().sum_dim(1) * -0.5 - log_deviation.sum_dim(1)
                        + weights.clone().narrow(1, part, 1)
                });
                let terms = Tensor::cat(terms.collect(), 1);
                let greatest = terms.clone().detach().max_dim(1);
                (terms - greatest.clone()).exp().sum_dim(1).log() + greatest - 0.5 * columns * (2.0 * PI).ln()
            }
            (BaseConfig::Uniform, ..) => super::transform::no_change(&z),
            _ => z.square().sum_dim(1) * -0.5 - 0.5 * columns * (2.0 * PI).ln(),
        }
    }

    /// Draws rows; row `i` depends only on the seed and `i`.
    pub fn sample(&self, rows: usize, seed: u64, device: &Device) -> Tensor<2> {
        let mixture = match (&self.means, &self.log_deviations, &self.logits) {
            (Some(means), Some(deviations), Some(logits)) => Some((
                to_host(means.val()),
                to_host(deviations.val()),
                to_host(dozen_kernels::softmax(logits.val().unsqueeze())),
            )),
            _ => None,
        };
        let student = match self.config {
            BaseConfig::StudentT { degrees } => StudentT::new(degrees).ok(),
            _ => None,
        };
        let mut values = Vec::with_capacity(rows * self.columns);
        for row in 0..rows {
            let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ row as u64);
            let part = mixture.as_ref().map(|(_, _, weights)| chosen(weights, rng.random()));
            for column in 0..self.columns {
                let normal: f64 = StandardNormal.sample(&mut rng);
                values.push(match (&mixture, part, &student) {
                    (Some((means, log_deviations, _)), Some(part), _) => {
                        let at = part * self.columns + column;
                        normal as f32 * log_deviations[at].exp() + means[at]
                    }
                    (_, _, Some(student)) => student.sample(&mut rng) as f32,
                    _ if self.config == BaseConfig::Uniform => rng.random(),
                    _ => normal as f32,
                });
            }
        }
        Tensor::from_data(TensorData::new(values, [rows, self.columns]), device)
    }

    /// The probability that a base's value is at most `z`, for columns that are independent; `None` for a mixture.
    pub fn cumulative(&self, z: f64) -> Option<f64> {
        match self.config {
            BaseConfig::Gaussian => Some(normal_cumulative(z)),
            BaseConfig::Uniform => Some(z.clamp(0.0, 1.0)),
            BaseConfig::StudentT { .. } | BaseConfig::Mixture { .. } => None,
        }
    }
}

/// `parts` of the rows that are far apart, and the mean squared distance of rows from the nearest of them.
fn far_apart(rows: &[f32], columns: usize, parts: usize) -> (Vec<f32>, f64) {
    let count = rows.len() / columns;
    let row = |at: usize| &rows[at * columns..][..columns];
    let mut rng = StdRng::seed_from_u64(0);
    let mut nearest = vec![f64::INFINITY; count];
    let mut chosen: Vec<f32> = Vec::with_capacity(parts * columns);
    let mut next = 0;
    for _ in 0..parts {
        chosen.extend_from_slice(row(next));
        for (at, nearest) in nearest.iter_mut().enumerate() {
            let differences = row(at).iter().zip(row(next)).map(|(a, b)| f64::from(a - b).powi(2));
            *nearest = nearest.min(differences.sum());
        }
        let mut left = rng.random::<f64>() * nearest.iter().sum::<f64>();
        let place = nearest.iter().position(|squared| {
            left -= squared;
            left < 0.0
        });
        next = place.unwrap_or(0);
    }
    (chosen, nearest.iter().sum::<f64>() / count as f64)
}

fn chosen(weights: &[f32], at: f32) -> usize {
    let mut left = at;
    for (part, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return part;
        }
    }
    weights.len() - 1
}

/// `(1 + erf(z / sqrt 2)) / 2`.
fn normal_cumulative(z: f64) -> f64 {
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

fn ln_gamma(x: f64) -> f64 {
    libm::lgamma(x)
}
