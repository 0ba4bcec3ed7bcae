//! q(z | x): draws by the encoder's parameters and noise that does not depend on them (Kingma and Welling 2014, section 2.4).

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use super::PosteriorConfig;
use crate::flow::transform::{Autoregressive, Bijection, MaskedNetwork, Planar};

/// A draw: `[rows, latent]`, and `ln q` of it in nats: `[rows, 1]`.
#[derive(Clone, Debug)]
pub(super) struct Draw {
    /// The latent.
    pub(super) z: Tensor<2>,
    /// `ln q(z | x)`.
    pub(super) log_prob: Tensor<2>,
}

/// A normal, and what bends it.
#[derive(Module, Debug)]
pub(super) struct Posterior {
    planar: Vec<Planar>,
    autoregressive: Vec<Autoregressive>,
    #[module(skip)]
    full: bool,
    #[module(skip)]
    latent: usize,
}

/// Logarithms of deviations are held within it of zero.
const MOST_LOG_DEVIATION: f64 = 7.0;

impl Posterior {
    pub(super) fn new(config: &PosteriorConfig, latent: usize, device: &Device) -> Self {
        let planar = match config {
            PosteriorConfig::Planar { steps } => (0..*steps).map(|_| Planar::new(latent, device)).collect(),
            _ => Vec::new(),
        };
        let autoregressive = match config {
            PosteriorConfig::Iaf { steps, hidden } => (0..*steps)
                .map(|step| {
                    let network = MaskedNetwork::new(latent, latent, hidden, Bijection::Affine, device);
                    Autoregressive::new(network, step % 2 == 1, true)
                })
                .collect(),
            _ => Vec::new(),
        };
        Self { planar, autoregressive, full: *config == PosteriorConfig::Full, latent }
    }

    /// Outputs of the encoder: means, log deviations, and what a covariance or bending steps need.
    pub(super) fn parameters(&self) -> usize {
        let n = self.latent;
        2 * n
            + if self.full { n * (n - 1) / 2 } else { 0 }
            + if self.autoregressive.is_empty() { 0 } else { n }
    }

    /// Means and log deviations: `[rows, latent]` each.
    pub(super) fn moments(&self, parameters: &Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let part = |at: usize| parameters.clone().narrow(1, at * self.latent, self.latent);
        (part(0), part(1).clamp(-MOST_LOG_DEVIATION, MOST_LOG_DEVIATION))
    }

    /// The latent of noise `[rows, latent]`, which is standard normal for a draw.
    pub(super) fn draw(&self, parameters: &Tensor<2>, noise: Tensor<2>) -> Draw {
        let (mean, log_deviation) = self.moments(parameters);
        let tau = std::f64::consts::TAU;
        let mut log_prob = noise.clone().square().sum_dim(1) * -0.5
            - log_deviation.clone().sum_dim(1)
            - 0.5 * self.latent as f64 * tau.ln();
        let mut z =
            mean + if self.full { self.correlated(parameters, noise) } else { noise * log_deviation.exp() };
        for step in &self.planar {
            let (next, log) = step.forward(z);
            (z, log_prob) = (next, log_prob - log);
        }
        if !self.autoregressive.is_empty() {
            let context = parameters.clone().narrow(1, 2 * self.latent, self.latent);
            for step in &self.autoregressive {
                let (next, log) = step.inverse(z, Some(&context));
                (z, log_prob) = (next, log_prob - log);
            }
        }
        Draw { z, log_prob }
    }

    /// L e with a Cholesky factor L whose diagonal is the deviations.
    fn correlated(&self, parameters: &Tensor<2>, noise: Tensor<2>) -> Tensor<2> {
        let [rows, n] = noise.dims();
        let factor = self.factor(parameters);
        factor.matmul(noise.reshape([rows, n, 1])).reshape([rows, n])
    }

    /// L: `[rows, latent, latent]`.
    fn factor(&self, parameters: &Tensor<2>) -> Tensor<3> {
        let (rows, n) = (parameters.dims()[0], self.latent);
        let below: Vec<usize> = (0..n * n).filter(|place| place / n > place % n).collect();
        let diagonal: Vec<usize> = (0..n).map(|i| i * n + i).collect();
        let deviations = self.moments(parameters).1.exp();
        let mut flat = deviations.matmul(places(&diagonal, n * n, parameters));
        if n > 1 {
            let own = parameters.clone().narrow(1, 2 * n, below.len());
            flat = flat + own.matmul(places(&below, n * n, parameters));
        }
        flat.reshape([rows, n, n])
    }

    /// KL(q || N(m, 1)) in nats where it is known in closed form, for a normal that nothing bends: half of the squared distance of the means, and
    /// what the deviations cost, by column, `[rows, latent]` each: `(mu - m)^2 / 2` and `(s^2 - ln s^2 - 1) / 2` with the row's squared norm of L
    /// for s^2.
    pub(super) fn divergence(
        &self,
        parameters: &Tensor<2>,
        prior_mean: Option<&Tensor<2>>,
    ) -> Option<(Tensor<2>, Tensor<2>)> {
        if !self.planar.is_empty() || !self.autoregressive.is_empty() {
            return None;
        }
        let (mean, log_deviation) = self.moments(parameters);
        let offset = match prior_mean {
            Some(prior) => mean - prior.clone(),
            None => mean,
        };
        let squares = if self.full {
            let rows = offset.dims()[0];
            self.factor(parameters).square().sum_dim(2).reshape([rows, self.latent])
        } else {
            (log_deviation.clone() * 2.0).exp()
        };
        Some((offset.square() * 0.5, (squares - log_deviation * 2.0 - 1.0) * 0.5))
    }
}

/// The matrix that puts column `k` at `at[k]` of `width`.
fn places(at: &[usize], width: usize, like: &Tensor<2>) -> Tensor<2> {
    let mut values = vec![0.0_f32; at.len() * width];
    for (column, place) in at.iter().enumerate() {
        values[column * width + place] = 1.0;
    }
    Tensor::<2>::from_data(TensorData::new(values, [at.len(), width]), &like.device()).cast(like.dtype())
}

/// `ln N(z; mean, e^{2 s})` of each column: `[rows, latent]`, or as its arguments broadcast.
pub(super) fn normal_log_prob<const D: usize>(
    z: Tensor<D>,
    mean: Tensor<D>,
    log_deviation: Tensor<D>,
) -> Tensor<D> {
    let scaled = (z - mean) * log_deviation.clone().neg().exp();
    scaled.square() * -0.5 - log_deviation - 0.5 * std::f64::consts::TAU.ln()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use burn::tensor::TensorData;
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::tensors::to_host;

    const DRAWS: usize = 200_000;

    thread_local! {
        // A generator of each test's own, so that tests beside each other do not change its draws.
        static RANDOM: RefCell<StdRng> = RefCell::new(StdRng::seed_from_u64(1));
    }

    fn normal(shape: [usize; 2], deviation: f64, device: &Device) -> Tensor<2> {
        let numbers: Vec<f32> = RANDOM
            .with_borrow_mut(|random| StandardNormal.sample_iter(random).take(shape[0] * shape[1]).collect());
        Tensor::from_data(TensorData::new(numbers, shape), device) * deviation
    }

    fn mean(tensor: Tensor<2>) -> f64 {
        let values = to_host(tensor);
        values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64
    }

    #[test]
    fn divergences_in_closed_form_are_those_of_draws() {
        let device = Device::flex();
        for config in [PosteriorConfig::Diagonal, PosteriorConfig::Full] {
            let posterior = Posterior::new(&config, 3, &device);
            let parameters = normal([1, posterior.parameters()], 0.7, &device);
            let prior_mean = normal([1, 3], 1.0, &device);
            let (means, deviations) = posterior.divergence(&parameters, Some(&prior_mean)).unwrap();
            let exact = f64::from((means + deviations).sum().into_scalar::<f32>());
            let draw = posterior.draw(&parameters.repeat(&[DRAWS, 1]), normal([DRAWS, 3], 1.0, &device));
            let zero = draw.z.zeros_like();
            let log_p = normal_log_prob(draw.z - prior_mean, zero.clone(), zero).sum_dim(1);
            let drawn = mean(draw.log_prob - log_p);
            assert!((exact - drawn).abs() < 0.01 * exact.max(1.0), "{config:?}: {exact} {drawn}");
        }
    }

    #[test]
    fn draws_of_bent_posteriors_have_their_density() {
        // Of a density, the mean of 1 / q over a part that is drawn from is that part's area.
        let device = Device::flex();
        let bent = [PosteriorConfig::Planar { steps: 3 }, PosteriorConfig::Iaf { steps: 2, hidden: vec![8] }];
        for config in bent {
            let posterior = Posterior::new(&config, 2, &device);
            let parameters = normal([1, posterior.parameters()], 0.3, &device).repeat(&[DRAWS, 1]);
            let draw = posterior.draw(&parameters, normal([DRAWS, 2], 1.0, &device));
            let (z, log_prob) = (to_host(draw.z), to_host(draw.log_prob));
            let centre: Vec<f32> =
                (0..2).map(|at| z.iter().skip(at).step_by(2).sum::<f32>() / DRAWS as f32).collect();
            let inside = z
                .chunks_exact(2)
                .zip(&log_prob)
                .filter(|(z, _)| z.iter().zip(&centre).all(|(z, centre)| (z - centre).abs() < 0.5));
            let area = inside.map(|(_, log)| f64::from(-log).exp()).sum::<f64>() / DRAWS as f64;
            assert!((area - 1.0).abs() < 0.03, "{config:?}: {area}");
        }
    }

    #[test]
    fn gradients_along_the_draw_are_those_of_the_score() {
        // d E_q[f(z)] by z = mu + s e, and by E_q[f(z) d ln q(z)] (Williams 1992).
        let device = Device::flex().autodiff();
        let posterior = Posterior::new(&PosteriorConfig::Diagonal, 2, &device);
        let f = |z: Tensor<2>| (z.clone().sin() * 2.0 + z.square() * 0.5).sum_dim(1);
        let parameters = Tensor::<2>::from_floats([[0.4, -0.7, -0.5, 0.2]], &device).require_grad();
        let noise = normal([DRAWS, 2], 1.0, &device);
        let draw = posterior.draw(&parameters.clone().repeat(&[DRAWS, 1]), noise);
        let gradients = f(draw.z.clone()).mean().backward();
        let along = to_host(parameters.grad(&gradients).unwrap());
        let z = draw.z.detach();
        let (means, log_deviations) = posterior.moments(&parameters.clone().repeat(&[DRAWS, 1]));
        let log_q = normal_log_prob(z.clone(), means, log_deviations).sum_dim(1);
        // Less its mean, f has the same expectation with less noise.
        let values = f(z);
        let values = values.clone() - values.mean().unsqueeze();
        let gradients = (log_q * values).mean().backward();
        let score = to_host(parameters.grad(&gradients).unwrap());
        for (a, b) in along.iter().zip(&score) {
            assert!((a - b).abs() < 0.03, "{along:?} {score:?}");
        }
    }
}
