//! The autoencoder and its objectives.

use burn::module::Module;
use burn::tensor::{Device, Distribution, Int, Tensor};
use dozen_data::Schema;
use dozen_kernels::log_sum_exp;
use rand::rngs::StdRng;

use super::codebook::Codebook;
use super::likelihood::Likelihoods;
use super::network::Network;
use super::posterior::{Draw, Posterior, normal_log_prob};
use super::prior::Prior;
use super::{LatentConfig, Objective, PosteriorConfig, PriorConfig, VaeConfig};
use crate::tensors::row_seed;

/// Rows, as an encoder and a likelihood take them.
#[derive(Clone, Debug)]
pub struct Rows {
    /// What the encoder sees, with zeros for what is missing: `[rows, inputs]`.
    pub inputs: Tensor<2>,
    /// What is explained: `[rows, columns]`.
    pub cells: Tensor<2>,
    /// One where a cell is there and zero where it is missing: `[rows, columns]`; `None` if none is.
    pub observed: Option<Tensor<2>>,
    /// `[rows, condition]`, where there is one.
    pub condition: Option<Tensor<2>>,
}

/// The parts of a bound for each row, `[rows, 1]` in nats.
#[derive(Clone, Debug)]
pub struct Terms {
    /// `ln p(x | z)`.
    pub reconstruction: Tensor<2>,
    /// `KL(q(z | x) || p(z))`, in closed form where there is one, else at the draw.
    pub divergence: Tensor<2>,
    /// The two parts of a normal posterior's divergence, `[rows, latent]`: of the means, and of the deviations.
    pub parts: Option<(Tensor<2>, Tensor<2>)>,
}

/// A variational autoencoder, or what becomes of it without noise or with codes.
#[derive(Module, Debug)]
pub struct Autoencoder {
    encoder: Network,
    decoder: Network,
    likelihoods: Likelihoods,
    posterior: Posterior,
    prior: Prior,
    codebook: Option<Codebook>,
    #[module(skip)]
    config: VaeConfig,
}

impl Autoencoder {
    /// With starting weights, for columns of this schema that make `inputs` inputs, and a condition of so many.
    pub fn new(
        config: &VaeConfig,
        schema: &Schema,
        inputs: usize,
        condition: usize,
        device: &Device,
    ) -> Self {
        let (latent, kind) = (config.latent, &config.kind);
        let likelihoods = Likelihoods::new(schema, config.likelihood, device);
        let (posterior, prior) = match kind {
            LatentConfig::Variational { posterior, prior } => (posterior.clone(), *prior),
            _ => (PosteriorConfig::Diagonal, PriorConfig::Standard),
        };
        let posterior = Posterior::new(&posterior, latent, device);
        let parameters = match kind {
            LatentConfig::Variational { .. } => posterior.parameters(),
            _ => latent,
        };
        let seen = if config.condition_networks { condition } else { 0 };
        let each = likelihoods.each().unwrap_or(1);
        let codebook = match kind {
            LatentConfig::Quantized { codes, width, .. } => Some(Codebook::new(*codes, *width, device)),
            _ => None,
        };
        Self {
            encoder: config.network.encoder(inputs, seen, parameters, device),
            decoder: config.network.decoder(latent, seen, likelihoods.outputs(), each, device),
            prior: Prior::new(prior, [latent, condition, inputs], device),
            likelihoods,
            posterior,
            codebook,
            config: config.clone(),
        }
    }

    /// With what is begun at the data begun at these rows.
    #[must_use]
    pub fn fitted(self, rows: &Rows) -> Self {
        Self { prior: self.prior.fitted(&rows.inputs), ..self }
    }

    fn seen<'a>(&self, condition: Option<&'a Tensor<2>>) -> Option<&'a Tensor<2>> {
        condition.filter(|_| self.config.condition_networks)
    }

    /// What the encoder says of rows: `[rows, parameters]`.
    fn parameters(&self, rows: &Rows) -> Tensor<2> {
        self.encoder.forward(rows.inputs.clone(), self.seen(rows.condition.as_ref()))
    }

    /// What the decoder says of latents: `[rows, outputs]`.
    pub fn decode(&self, z: Tensor<2>, condition: Option<&Tensor<2>>) -> Tensor<2> {
        self.decoder.forward(z, self.seen(condition))
    }

    /// The mean of each value given the decoder's outputs; of a category the likeliest.
    pub fn mean(&self, outputs: &Tensor<2>) -> Tensor<2> {
        self.likelihoods.mean(outputs)
    }

    /// A draw of each value given the decoder's outputs, on the host.
    pub(crate) fn draw_values(&self, outputs: &Tensor<2>, generator: impl Fn(usize) -> StdRng) -> Vec<f32> {
        self.likelihoods.draw(outputs, generator)
    }

    /// Where rows are in the latent: the draw of no noise, or codes' vectors.
    pub fn encode(&self, rows: &Rows) -> Tensor<2> {
        let parameters = self.parameters(rows);
        match (&self.config.kind, &self.codebook) {
            (LatentConfig::Variational { .. }, _) => {
                let shape = [parameters.dims()[0], self.config.latent];
                let none = Tensor::<2>::zeros(shape, &parameters.device()).cast(parameters.dtype());
                self.posterior.draw(&parameters, none).z
            }
            (_, Some(codebook)) => codebook.quantize(parameters).z,
            (_, None) => parameters,
        }
    }

    /// The number of the code of each vector of a row's latent, row after row; `None` without codes.
    pub fn codes(&self, rows: &Rows) -> Option<Vec<usize>> {
        let codebook = self.codebook.as_ref()?;
        let vectors = codebook.cut(&self.parameters(rows));
        let codes = codebook.nearest(&vectors).into_data().convert::<i64>().try_to_vec::<i64>();
        Some(codes.expect("whole numbers").into_iter().map(|code| code as usize).collect())
    }

    /// Means and deviations of the posterior before anything bends it; `None` without one.
    pub fn moments(&self, rows: &Rows) -> Option<(Tensor<2>, Tensor<2>)> {
        matches!(self.config.kind, LatentConfig::Variational { .. }).then(|| {
            let (mean, log_deviation) = self.posterior.moments(&self.parameters(rows));
            (mean, log_deviation.exp())
        })
    }

    /// Latents drawn from the prior; row `i` depends only on the seed and `i`, and with codes on how often each is used.
    pub(crate) fn sample_latent(
        &self,
        rows: usize,
        condition: Option<&Tensor<2>>,
        seed: u64,
        device: &Device,
    ) -> Tensor<2> {
        if let Some(codebook) = &self.codebook {
            let slots = self.config.latent / codebook.width();
            return codebook.sample(rows, slots, seed).reshape([rows, self.config.latent]);
        }
        let Some((means, log_deviations)) = self.pseudo_moments() else {
            return self.prior.sample(rows, condition, seed, device);
        };
        // One of the posteriors of the learnt inputs for each row.
        let noise = self.prior.sample(rows, None, seed, device);
        let parts = means.dims()[0] as u64;
        let part = |row: usize| (row_seed(seed, row) % parts) as i64;
        let chosen: Vec<i64> = (0..rows).map(part).collect();
        let chosen = Tensor::<1, Int>::from_data(chosen.as_slice(), device);
        means.select(0, chosen.clone()) + noise * log_deviations.select(0, chosen).exp()
    }

    fn pseudo_moments(&self) -> Option<(Tensor<2>, Tensor<2>)> {
        let inputs = self.prior.inputs()?;
        Some(self.posterior.moments(&self.encoder.forward(inputs, None)))
    }

    /// A draw from `q(z | x)` for each row, `draws` times, the whole table after itself.
    fn draw(&self, parameters: &Tensor<2>, draws: usize, antithetic: bool) -> Draw {
        let rows = parameters.dims()[0];
        let (shape, device) = ([rows * draws, self.config.latent], parameters.device());
        let normal = Distribution::Normal(0.0, 1.0);
        let noise = if antithetic && draws.is_multiple_of(2) {
            let half = Tensor::<2>::random([shape[0] / 2, shape[1]], normal, &device);
            Tensor::cat(vec![half.clone(), half.neg()], 0)
        } else {
            Tensor::<2>::random(shape, normal, &device)
        };
        self.posterior.draw(&parameters.clone().repeat(&[draws, 1]), noise.cast(parameters.dtype()))
    }

    /// Rows and what goes with them, repeated.
    fn repeated(rows: &Rows, times: usize) -> Rows {
        if times == 1 {
            return rows.clone();
        }
        let again = |tensor: &Tensor<2>| tensor.clone().repeat(&[times, 1]);
        Rows {
            inputs: rows.inputs.clone(),
            cells: again(&rows.cells),
            observed: rows.observed.as_ref().map(again),
            condition: rows.condition.as_ref().map(again),
        }
    }

    fn log_likelihood(&self, rows: &Rows, z: Tensor<2>) -> Tensor<2> {
        let outputs = self.decode(z, rows.condition.as_ref());
        self.likelihoods.log_prob(&rows.cells, &outputs, rows.observed.as_ref())
    }

    /// `ln p(x, z) - ln q(z | x)` of draws, `[draws, rows]` in nats: weights whose mean's expectation is p(x) (Burda et al. 2016, eq. 7).
    pub fn log_weights(&self, rows: &Rows, draws: usize) -> Tensor<2> {
        let count = rows.cells.dims()[0];
        let parameters = self.parameters(rows);
        let draw = self.draw(&parameters, draws, false);
        self.weights(&Self::repeated(rows, draws), &draw).reshape([draws, count])
    }

    fn weights(&self, rows: &Rows, draw: &Draw) -> Tensor<2> {
        let moments = self.pseudo_moments();
        let prior = self.prior.log_prob(draw.z.clone(), rows.condition.as_ref(), moments.as_ref());
        self.log_likelihood(rows, draw.z.clone()) + prior - draw.log_prob.clone()
    }

    /// Latents drawn from `q(z | x)` and their log weights: `[draws rows, latent]`, `[draws, rows]`.
    pub(crate) fn weighted(&self, rows: &Rows, draws: usize) -> (Tensor<2>, Tensor<2>) {
        let count = rows.cells.dims()[0];
        let draw = self.draw(&self.parameters(rows), draws, false);
        let weights = self.weights(&Self::repeated(rows, draws), &draw).reshape([draws, count]);
        (draw.z, weights)
    }

    /// The evidence lower bound's terms at one draw for each row (Kingma and Welling 2014, eq. 7), or without a posterior the reconstruction
    /// alone; codes cost the logarithm of their number.
    pub fn terms(&self, rows: &Rows) -> Terms {
        let parameters = self.parameters(rows);
        if matches!(self.config.kind, LatentConfig::Variational { .. }) {
            let draw = self.draw(&parameters, 1, false);
            return self.terms_at(rows, &parameters, &draw);
        }
        let (z, nats) = match &self.codebook {
            Some(codebook) => {
                let slots = self.config.latent / codebook.width();
                (codebook.quantize(parameters).z, slots as f64 * (codebook.len() as f64).ln())
            }
            None => (parameters, 0.0),
        };
        let reconstruction = self.log_likelihood(rows, z);
        let divergence = reconstruction.zeros_like() + nats;
        Terms { reconstruction, divergence, parts: None }
    }

    fn terms_at(&self, rows: &Rows, parameters: &Tensor<2>, draw: &Draw) -> Terms {
        let reconstruction = self.log_likelihood(rows, draw.z.clone());
        let prior_mean = self.prior.mean(rows.condition.as_ref());
        let normal = self.prior.is_normal();
        let parts = normal.then(|| self.posterior.divergence(parameters, prior_mean.as_ref())).flatten();
        let divergence = if let Some((means, deviations)) = &parts {
            (means.clone() + deviations.clone()).sum_dim(1)
        } else {
            let moments = self.pseudo_moments();
            let condition = rows.condition.as_ref();
            draw.log_prob.clone() - self.prior.log_prob(draw.z.clone(), condition, moments.as_ref())
        };
        Terms { reconstruction, divergence, parts }
    }

    /// What training makes small, in nats a row, with the divergence's weight times `share`; `of` is the number of training rows.
    pub fn loss(&self, rows: &Rows, share: f64, of: usize) -> Tensor<1> {
        let objective = self.config.objective;
        let beta = objective.beta * share;
        let parameters = self.parameters(rows);
        match (&self.config.kind, &self.codebook) {
            (LatentConfig::Variational { .. }, _) => {}
            (LatentConfig::Quantized { commitment, .. }, Some(codebook)) => {
                if parameters.device().is_autodiff() {
                    codebook.follow(&parameters);
                }
                let quantized = codebook.quantize(parameters);
                let slots = (self.config.latent / codebook.width()) as f64;
                return self.log_likelihood(rows, quantized.z).mean().neg()
                    + quantized.distance * (commitment * slots);
            }
            _ => return self.log_likelihood(rows, parameters).mean().neg(),
        }
        let Objective { importance, antithetic, total_correlation, free_bits, .. } = objective;
        let draws = if antithetic { importance.max(2) } else { importance };
        let draw = self.draw(&parameters, draws, antithetic);
        let rows = Self::repeated(rows, draws);
        if importance > 1 {
            let count = parameters.dims()[0];
            let weights = self.weights(&rows, &draw).reshape([draws, count]);
            return (log_sum_exp(weights, 0) - (draws as f64).ln()).mean().neg();
        }
        let parameters = parameters.repeat(&[draws, 1]);
        if total_correlation != 1.0 {
            return self.decomposed(&rows, &parameters, &draw, beta, of);
        }
        let terms = self.terms_at(&rows, &parameters, &draw);
        let divergence = match &terms.parts {
            // Of each column's mean over the batch, no less than what is free.
            Some((means, deviations)) if free_bits > 0.0 => {
                (means.clone() + deviations.clone()).mean_dim(0).clamp_min(free_bits).sum()
            }
            _ => terms.divergence.mean(),
        };
        divergence * beta - terms.reconstruction.mean()
    }

    /// The divergence in three parts, of which the total correlation has a weight of its own (Chen et al. 2018, eq. 2), with `q(z)` over the batch
    /// taken for a part of all rows (appendix C.1).
    fn decomposed(
        &self,
        rows: &Rows,
        parameters: &Tensor<2>,
        draw: &Draw,
        beta: f64,
        of: usize,
    ) -> Tensor<1> {
        let (mean, log_deviation) = self.posterior.moments(parameters);
        let count = mean.dims()[0];
        // `[rows, rows, latent]`: each draw under each row's posterior.
        let each = normal_log_prob(
            draw.z.clone().unsqueeze_dim::<3>(1),
            mean.unsqueeze_dim::<3>(0),
            log_deviation.unsqueeze_dim::<3>(0),
        );
        let share = ((count * of.max(1)) as f64).ln();
        let log_q = log_sum_exp(each.clone().sum_dim(2).squeeze_dim::<2>(2), 1) - share;
        let by_column = (log_sum_exp(each, 1) - share).squeeze_dim::<2>(1).sum_dim(1);
        let moments = self.pseudo_moments();
        let log_p = self.prior.log_prob(draw.z.clone(), rows.condition.as_ref(), moments.as_ref());
        let mutual_information = draw.log_prob.clone() - log_q.clone();
        let total_correlation = log_q - by_column.clone();
        let divergence = mutual_information
            + total_correlation * self.config.objective.total_correlation
            + (by_column - log_p);
        divergence.mean() * beta - self.log_likelihood(rows, draw.z.clone()).mean()
    }

    /// How often each code is used by rows, as shares; `None` without codes.
    pub fn usage(&self, rows: &Rows) -> Option<Vec<f64>> {
        let codes = self.codes(rows)?;
        let mut shares = vec![0.0; self.codebook.as_ref()?.len()];
        for code in &codes {
            shares[*code] += 1.0 / codes.len() as f64;
        }
        Some(shares)
    }
}
