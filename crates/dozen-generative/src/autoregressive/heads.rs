//! The distribution of one column given a network's outputs for it.
//!
//! - a bit: `p(1) = sigmoid(l)`;
//! - a category: `p(k) = softmax(l)_k`;
//! - a real value: `p(x) = sum_m softmax(a)_m N(x; mu_m, e^{2 s_m})` (Uria et al. 2013, eq. 6).

use burn::tensor::{Device, Int, Tensor, activation};
use dozen_kernels::{Activation, activate, bernoulli_log_prob, log_sum_exp};
use rand::RngExt;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};

use super::layout::{Layout, Variable, offsets};

/// The least log deviation of a Gaussian in standardised units: no mixture shrinks onto one training value.
const LEAST_LOG_DEVIATION: f32 = -5.0;

/// Log-probabilities in nats, summed over each row: `[rows, outputs], [rows, columns] -> [rows]`. Real columns are in
/// standardised units.
pub(crate) fn log_prob(layout: &Layout, outputs: Tensor<2>, cells: Tensor<2>) -> Tensor<1> {
    if layout.is_binary() {
        return bernoulli_log_prob(outputs, cells);
    }
    log_prob_by_position(layout, outputs, cells).sum_dim(1).squeeze_dim(1)
}

/// Log-probabilities in nats of each conditional: `[rows, outputs], [rows, columns] -> [rows, columns]`.
pub(crate) fn log_prob_by_position(layout: &Layout, outputs: Tensor<2>, cells: Tensor<2>) -> Tensor<2> {
    let device = cells.device();
    let starts = offsets(&layout.output_sizes());
    let mut by_group = Vec::new();
    let mut positions = Vec::new();
    for group in groups(layout) {
        let variable = layout.variables[group[0]];
        let size = variable.outputs(layout.mixtures);
        let indices: Vec<usize> = group.iter().flat_map(|&p| starts[p]..starts[p] + size).collect();
        let outputs = select(outputs.clone(), &indices, &device);
        let cells = select(cells.clone(), &group, &device);
        by_group.push(group_log_prob(variable, outputs, cells, layout.mixtures));
        positions.extend(group);
    }
    let mut inverse = vec![0; positions.len()];
    positions.iter().enumerate().for_each(|(place, &position)| inverse[position] = place);
    select(Tensor::cat(by_group, 1), &inverse, &device)
}

/// Positions that share a kind, and so a formula.
fn groups(layout: &Layout) -> Vec<Vec<usize>> {
    let mut kinds: Vec<Variable> = Vec::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (position, &variable) in layout.variables.iter().enumerate() {
        if let Some(group) = kinds.iter().position(|&kind| kind == variable) {
            groups[group].push(position);
        } else {
            kinds.push(variable);
            groups.push(vec![position]);
        }
    }
    groups
}

fn select(tensor: Tensor<2>, indices: &[usize], device: &Device) -> Tensor<2> {
    if indices.len() == tensor.dims()[1] && indices.is_sorted() {
        return tensor;
    }
    let indices: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
    tensor.select(1, Tensor::<1, Int>::from_data(indices.as_slice(), &device.clone().inner()))
}

fn group_log_prob(variable: Variable, outputs: Tensor<2>, cells: Tensor<2>, mixtures: usize) -> Tensor<2> {
    let [rows, count] = cells.dims();
    match variable {
        Variable::Binary => cells * outputs.clone() - activate(outputs, Activation::Softplus),
        Variable::Categorical { levels } => {
            let logits = outputs.reshape([rows, count, levels]);
            let codes = cells.reshape([rows, count, 1]).int();
            activation::log_softmax(logits, 2).gather(2, codes).reshape([rows, count])
        }
        Variable::Real => {
            let outputs = outputs.reshape([rows, count, 3 * mixtures]);
            let part = |index: usize| outputs.clone().narrow(2, index * mixtures, mixtures);
            let log_weights = activation::log_softmax(part(0), 2);
            let log_deviation = part(2).clamp_min(LEAST_LOG_DEVIATION);
            let z = (cells.reshape([rows, count, 1]) - part(1)) * log_deviation.clone().neg().exp();
            let log_density =
                log_weights - z.square() * 0.5 - log_deviation - 0.5 * std::f64::consts::TAU.ln();
            log_sum_exp(log_density, 2).reshape([rows, count])
        }
    }
}

/// The log-probability of a cell under the outputs of its variable, on the host.
pub(crate) fn host_log_prob(variable: Variable, outputs: &[f32], cell: f32) -> f64 {
    match variable {
        Variable::Binary => {
            let l = f64::from(outputs[0]);
            f64::from(cell) * l - (l.max(0.0) + (-l.abs()).exp().ln_1p())
        }
        Variable::Categorical { .. } => log_softmax(outputs)[cell as usize],
        Variable::Real => {
            let mixtures = outputs.len() / 3;
            let terms: Vec<f64> = log_softmax(&outputs[..mixtures])
                .into_iter()
                .enumerate()
                .map(|(m, log_weight)| {
                    let (mean, log_deviation) = gaussian(outputs, mixtures, m);
                    let z = (f64::from(cell) - mean) / log_deviation.exp();
                    log_weight - 0.5 * z * z - log_deviation - 0.5 * std::f64::consts::TAU.ln()
                })
                .collect();
            log_sum(&terms)
        }
    }
}

/// Draws a cell from the outputs of its variable.
pub(crate) fn draw(variable: Variable, outputs: &[f32], rng: &mut StdRng) -> f32 {
    match variable {
        Variable::Binary => {
            let p = 1.0 / (1.0 + (-f64::from(outputs[0])).exp());
            f32::from(u8::from(rng.random::<f64>() < p))
        }
        Variable::Categorical { .. } => choose(outputs, rng) as f32,
        Variable::Real => {
            let mixtures = outputs.len() / 3;
            let (mean, log_deviation) = gaussian(outputs, mixtures, choose(&outputs[..mixtures], rng));
            let z: f64 = StandardNormal.sample(rng);
            (mean + log_deviation.exp() * z) as f32
        }
    }
}

fn gaussian(outputs: &[f32], mixtures: usize, index: usize) -> (f64, f64) {
    let log_deviation = outputs[2 * mixtures + index].max(LEAST_LOG_DEVIATION);
    (f64::from(outputs[mixtures + index]), f64::from(log_deviation))
}

/// Draws an index with probability `softmax(logits)`.
fn choose(logits: &[f32], rng: &mut StdRng) -> usize {
    let mut u = rng.random::<f64>();
    let log_probabilities = log_softmax(logits);
    for (index, log_probability) in log_probabilities.iter().enumerate() {
        u -= log_probability.exp();
        if u < 0.0 {
            return index;
        }
    }
    logits.len() - 1
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let logits: Vec<f64> = logits.iter().map(|&l| f64::from(l)).collect();
    let sum = log_sum(&logits);
    logits.into_iter().map(|l| l - sum).collect()
}

/// `ln sum e^x`, without overflow.
pub(crate) fn log_sum(terms: &[f64]) -> f64 {
    let max = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if max == f64::NEG_INFINITY {
        return max;
    }
    max + terms.iter().map(|term| (term - max).exp()).sum::<f64>().ln()
}
