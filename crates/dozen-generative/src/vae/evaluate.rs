//! Bounds on the log-likelihood of held-out rows, and what the latent does.

use dozen_data::Table;
use dozen_nn::Error;

use super::Model;
use super::model::ROWS;
use crate::autoregressive::log_sum;
use crate::tensors::to_host;

/// Of held-out rows, in nats a row and in the data's own units.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Rows evaluated.
    pub rows: usize,
    /// The evidence lower bound at one draw.
    pub elbo: f64,
    /// Of its mean.
    pub standard_error: f64,
    /// `ln p(x | z)`.
    pub reconstruction: f64,
    /// What the latent costs.
    pub divergence: f64,
    /// The parts of it that means and deviations cost, where it is known in closed form.
    pub parts: Option<[f64; 2]>,
    /// The mean cost of each latent column, where it is known.
    pub by_column: Vec<f64>,
    /// Importance-weighted bounds: of how many draws each, its mean, and the standard error of that (Burda et al. 2016, eq. 8).
    pub bounds: Vec<Bound>,
    /// Latent columns whose posterior mean varies over rows by more than 0.01 (Burda et al. 2016, section 5.1).
    pub active_units: usize,
    /// How many codes are used, as the exponential of their entropy; `None` without codes.
    pub code_perplexity: Option<f64>,
    /// `-log2` of the best bound over the number of columns.
    pub bits_per_dimension: f64,
}

/// An importance-weighted bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// Draws for each row.
    pub draws: usize,
    /// In nats a row.
    pub nats: f64,
    /// Of that mean over rows.
    pub standard_error: f64,
}

/// Draws of a bound, where nobody says how many.
pub const DRAWS: usize = 100;

/// Less variance than this of its posterior mean over rows, and a latent column says nothing.
const ACTIVE: f64 = 0.01;

/// Evaluates a model on a table, with as many importance draws for each row; none for a model without a posterior.
///
/// # Errors
/// When the table has no rows, or does not fit the model.
pub fn evaluate(model: &Model, table: &Table, draws: usize, seed: u64) -> Result<Evaluation, Error> {
    let (cells, condition) = model.cells(table)?;
    if cells.rows() == 0 {
        return Err(Error::Request("there are no rows to evaluate".into()));
    }
    let (network, scale) = (model.network(), model.config().log_scale());
    model.seed(seed);
    let mut elbos = Vec::new();
    let (mut reconstruction, mut divergence, mut parts) = (0.0, 0.0, [0.0; 2]);
    let (mut by_column, mut usage) = (Vec::new(), Vec::new());
    for rows in model.pieces(&cells, &condition, ROWS) {
        let terms = network.terms(&rows);
        let fits = to_host(terms.reconstruction).into_iter().map(|value| f64::from(value) - scale);
        let costs = to_host(terms.divergence).into_iter().map(f64::from);
        for (fit, cost) in fits.zip(costs) {
            (reconstruction, divergence) = (reconstruction + fit, divergence + cost);
            elbos.push(fit - cost);
        }
        if let Some((means, deviations)) = terms.parts {
            let sum = |of: burn::tensor::Tensor<2>| -> Vec<f64> {
                to_host(of.sum_dim(0)).into_iter().map(f64::from).collect()
            };
            let (means, deviations) = (sum(means), sum(deviations));
            parts[0] += means.iter().sum::<f64>();
            parts[1] += deviations.iter().sum::<f64>();
            by_column.resize(means.len(), 0.0);
            by_column.iter_mut().zip(means.iter().zip(&deviations)).for_each(|(sum, (a, b))| *sum += a + b);
        }
        usage.extend(network.codes(&rows).unwrap_or_default());
    }
    let count = cells.rows() as f64;
    let known = !by_column.is_empty();
    for sum in &mut by_column {
        *sum /= count;
    }
    let (elbo, standard_error) = mean_and_error(&elbos);
    let variational = network.moments(&model.pieces(&cells, &condition, 1).next().expect("a row")).is_some();
    let bounds = if variational { importance_bounds(model, &cells, &condition, draws) } else { Vec::new() };
    let best = bounds.last().map_or(elbo, |bound| bound.nats);
    Ok(Evaluation {
        rows: cells.rows(),
        elbo,
        standard_error,
        reconstruction: reconstruction / count,
        divergence: divergence / count,
        parts: known.then(|| parts.map(|sum| sum / count)),
        by_column,
        bounds,
        active_units: active_units(&model.encode(&cells, &condition)),
        code_perplexity: (!usage.is_empty()).then(|| perplexity(&usage)),
        bits_per_dimension: -best / cells.columns() as f64 / std::f64::consts::LN_2,
    })
}

fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0) / count).sqrt())
}

/// Bounds at 1, 10, 100 and so on up to `draws`, each over all groups of so many of the same draws.
fn importance_bounds(
    model: &Model,
    cells: &dozen_data::Matrix,
    condition: &dozen_data::Matrix,
    draws: usize,
) -> Vec<Bound> {
    let mut counts: Vec<usize> =
        std::iter::successors(Some(1), |count| Some(count * 10)).take_while(|count| *count < draws).collect();
    counts.push(draws);
    let scale = model.config().log_scale();
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); counts.len()];
    for rows in model.pieces(cells, condition, (2 * ROWS / draws).max(1)) {
        let weights = model.network().log_weights(&rows, draws);
        let own = weights.dims()[1];
        let weights = to_host(weights.transpose());
        for row in 0..own {
            let weights: Vec<f64> =
                weights[row * draws..][..draws].iter().map(|weight| f64::from(*weight) - scale).collect();
            for (values, count) in values.iter_mut().zip(&counts) {
                let groups = weights.chunks_exact(*count);
                let (number, log_count) = (groups.len() as f64, (*count as f64).ln());
                values.push(groups.map(|group| log_sum(group) - log_count).sum::<f64>() / number);
            }
        }
    }
    let bound = |(values, draws): (&Vec<f64>, &usize)| {
        let (nats, standard_error) = mean_and_error(values);
        Bound { draws: *draws, nats, standard_error }
    };
    values.iter().zip(&counts).map(bound).collect()
}

fn active_units(latents: &dozen_data::Matrix) -> usize {
    let rows = latents.rows() as f64;
    let varies = |column: &usize| {
        let values = || (0..latents.rows()).map(|row| f64::from(latents.row(row)[*column]));
        let mean = values().sum::<f64>() / rows;
        values().map(|value| (value - mean).powi(2)).sum::<f64>() / rows > ACTIVE
    };
    (0..latents.columns()).filter(varies).count()
}

/// `e^H` of how often each code is used.
fn perplexity(codes: &[usize]) -> f64 {
    let mut counts = vec![0.0_f64; codes.iter().max().map_or(0, |code| code + 1)];
    for code in codes {
        counts[*code] += 1.0 / codes.len() as f64;
    }
    counts.iter().filter(|share| **share > 0.0).map(|share| -share * share.ln()).sum::<f64>().exp()
}

/// The importance-weighted bound of each row, in nats; with one draw the evidence lower bound.
pub fn score(model: &Model, table: &Table, draws: usize, seed: u64) -> Result<Vec<f64>, Error> {
    let (cells, condition) = model.cells(table)?;
    let (network, scale) = (model.network(), model.config().log_scale());
    model.seed(seed);
    let mut bounds = Vec::new();
    for rows in model.pieces(&cells, &condition, (2 * ROWS / draws).max(1)) {
        if network.moments(&rows).is_none() {
            let terms = network.terms(&rows);
            let values = to_host(terms.reconstruction - terms.divergence);
            bounds.extend(values.into_iter().map(|value| f64::from(value) - scale));
            continue;
        }
        let weights = to_host(network.log_weights(&rows, draws).transpose());
        bounds.extend(weights.chunks_exact(draws).map(|own| {
            let own: Vec<f64> = own.iter().map(|weight| f64::from(*weight)).collect();
            log_sum(&own) - (draws as f64).ln() - scale
        }));
    }
    Ok(bounds)
}
