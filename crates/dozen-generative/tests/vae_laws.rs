//! What pins a variational autoencoder down, in f64, on a model whose likelihood is known: a linear decoder with Gaussian noise.

mod differences;

use std::sync::Mutex;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Distribution, FloatDType, Tensor};
use dozen_data::{ColumnSchema, Kind, Schema};
use dozen_generative::vae::{
    Autoencoder, LatentConfig, Likelihood, NetworkConfig, Objective, PosteriorConfig, PriorConfig, Rows,
    VaeConfig,
};

use differences::{first_gradients, nudged, numbers};

/// Draws come from the device's one generator, which a test seeds.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn device() -> Device {
    let mut device = Device::flex();
    device.configure(FloatDType::F64).ok();
    device.autodiff()
}

const DEVIATION: f64 = 0.6;

fn schema(columns: usize) -> Schema {
    let column =
        |at: usize| ColumnSchema { name: format!("x{at}"), kind: Kind::Real { mean: 0.0, deviation: 1.0 } };
    Schema { columns: (0..columns).map(column).collect() }
}

fn config(posterior: PosteriorConfig, prior: PriorConfig, objective: Objective) -> VaeConfig {
    VaeConfig {
        network: NetworkConfig::Mlp { hidden: vec![] },
        latent: 2,
        kind: LatentConfig::Variational { posterior, prior },
        likelihood: Likelihood::Gaussian { deviation: Some(DEVIATION) },
        condition_networks: false,
        objective,
    }
}

fn network(config: &VaeConfig) -> Autoencoder {
    device().seed(3);
    Autoencoder::new(config, &schema(3), 3, 0, &device())
}

fn rows(count: usize) -> Rows {
    let cells = Tensor::<2>::random([count, 3], Distribution::Normal(0.0, 1.0), &device());
    Rows { inputs: cells.clone(), cells, observed: None, condition: None }
}

/// A, its inverse's product with a vector, and `ln |A|`, by Cholesky's factor.
fn solve(a: &[Vec<f64>], b: &[f64]) -> (Vec<f64>, f64) {
    let n = b.len();
    let mut l = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let rest = a[i][j] - (0..j).map(|k| l[i][k] * l[j][k]).sum::<f64>();
            l[i][j] = if i == j { rest.sqrt() } else { rest / l[j][j] };
        }
    }
    let mut y = vec![0.0; n];
    for i in 0..n {
        y[i] = (b[i] - (0..i).map(|k| l[i][k] * y[k]).sum::<f64>()) / l[i][i];
    }
    let mut x = vec![0.0; n];
    for i in (0..n).rev() {
        x[i] = (y[i] - (i + 1..n).map(|k| l[k][i] * x[k]).sum::<f64>()) / l[i][i];
    }
    (x, 2.0 * (0..n).map(|i| l[i][i].ln()).sum::<f64>())
}

/// The decoder's matrix, `[3][2]`, and its offset.
fn decoder(network: &Autoencoder) -> (Vec<Vec<f64>>, Vec<f64>) {
    let of = |z: [f64; 2]| numbers(network.decode(Tensor::<2>::from_data([z], &device()), None));
    let offset = of([0.0, 0.0]);
    let columns = [of([1.0, 0.0]), of([0.0, 1.0])];
    let matrix = (0..3).map(|i| (0..2).map(|j| columns[j][i] - offset[i]).collect()).collect();
    (matrix, offset)
}

/// `ln p(x)` and the posterior's mean and precision: x ~ N(b, W W' + s^2), z | x ~ N(P^-1 W'(x - b) / s^2, P^-1), P = 1 + W'W / s^2.
fn truth(network: &Autoencoder, x: &[f64]) -> (f64, Vec<f64>, Vec<Vec<f64>>) {
    let (w, b) = decoder(network);
    let noise = DEVIATION * DEVIATION;
    let dot = |i: usize, j: usize| (0..2).map(|k| w[i][k] * w[j][k]).sum::<f64>();
    let one = |i: usize, j: usize| f64::from(u8::from(i == j));
    let covariance: Vec<Vec<f64>> =
        (0..3).map(|i| (0..3).map(|j| dot(i, j) + noise * one(i, j)).collect()).collect();
    let offset: Vec<f64> = x.iter().zip(&b).map(|(x, b)| x - b).collect();
    let (solved, log_determinant) = solve(&covariance, &offset);
    let distance: f64 = solved.iter().zip(&offset).map(|(a, b)| a * b).sum();
    let log_prob = -0.5 * (distance + log_determinant + 3.0 * std::f64::consts::TAU.ln());
    let inner = |i: usize, j: usize| (0..3).map(|k| w[k][i] * w[k][j]).sum::<f64>() / noise + one(i, j);
    let precision: Vec<Vec<f64>> = (0..2).map(|i| (0..2).map(|j| inner(i, j)).collect()).collect();
    let pulled: Vec<f64> = (0..2).map(|j| (0..3).map(|i| w[i][j] * offset[i]).sum::<f64>() / noise).collect();
    (log_prob, solve(&precision, &pulled).0, precision)
}

#[test]
fn the_gap_of_the_bound_is_the_divergence_from_the_posterior() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let network = network(&config(PosteriorConfig::Diagonal, PriorConfig::Standard, Objective::default()));
    for row in 0..4 {
        let one = rows(1);
        let x = numbers(one.cells.clone());
        let (log_prob, mean, precision) = truth(&network, &x);
        let (mu, deviation) = network.moments(&one).unwrap();
        let (mu, deviation) = (numbers(mu), numbers(deviation));
        // KL(N(mu, s^2) || N(m, P^-1)).
        let off: Vec<f64> = mu.iter().zip(&mean).map(|(a, b)| a - b).collect();
        let (_, log_determinant) = solve(&precision, &off);
        let quadratic: f64 = (0..2)
            .flat_map(|i| (0..2).map(move |j| (i, j)))
            .map(|(i, j)| off[i] * precision[i][j] * off[j])
            .sum();
        let trace: f64 = (0..2).map(|i| precision[i][i] * deviation[i].powi(2)).sum();
        let entropy: f64 = deviation.iter().map(|s| 2.0 * s.ln()).sum();
        let gap = 0.5 * (trace + quadratic - 2.0 - log_determinant - entropy);
        let many =
            Rows { inputs: one.inputs.repeat(&[40_000, 1]), cells: one.cells.repeat(&[40_000, 1]), ..one };
        let terms = network.terms(&many);
        let bound = numbers((terms.reconstruction - terms.divergence).mean())[0];
        assert!((log_prob - bound - gap).abs() < 0.05 * gap.max(1.0), "row {row}: {log_prob} {bound} {gap}");
    }
}

#[test]
fn importance_weighted_bounds_rise_to_the_likelihood() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let priors = [
        PosteriorConfig::Diagonal,
        PosteriorConfig::Full,
        PosteriorConfig::Planar { steps: 2 },
        PosteriorConfig::Iaf { steps: 2, hidden: vec![6] },
    ];
    for posterior in priors {
        let network = network(&config(posterior.clone(), PriorConfig::Standard, Objective::default()));
        // Near the middle, where even a posterior that has learnt nothing is wider than the true one, so that weights have a variance.
        let one = rows(1);
        let cells = one.cells * 0.3;
        let one = Rows { inputs: cells.clone(), cells, ..one };
        let (log_prob, ..) = truth(&network, &numbers(one.cells.clone()));
        let weights = numbers(network.log_weights(&one, 100_000));
        let bound = |draws: usize| -> f64 {
            let groups = weights.chunks_exact(draws);
            let count = groups.len() as f64;
            let of = |group: &[f64]| {
                let most = group.iter().copied().fold(f64::MIN, f64::max);
                (group.iter().map(|w| (w - most).exp()).sum::<f64>() / draws as f64).ln() + most
            };
            groups.map(of).sum::<f64>() / count
        };
        let bounds: Vec<f64> = [1, 10, 100, 1000, 100_000].into_iter().map(bound).collect();
        assert!(bounds.windows(2).all(|pair| pair[0] < pair[1] + 0.01), "{posterior:?}: {bounds:?}");
        assert!((bounds[4] - log_prob).abs() < 0.02, "{posterior:?}: {bounds:?} {log_prob}");
    }
}

#[test]
fn gradients_of_every_objective_are_those_of_differences() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let plain = Objective::default();
    let configs = [
        config(PosteriorConfig::Diagonal, PriorConfig::Standard, Objective { beta: 2.0, ..plain }),
        config(PosteriorConfig::Full, PriorConfig::Standard, Objective { antithetic: true, ..plain }),
        config(PosteriorConfig::Diagonal, PriorConfig::Mixture { parts: 2 }, plain),
        config(PosteriorConfig::Diagonal, PriorConfig::Vamp { parts: 2 }, plain),
        config(PosteriorConfig::Planar { steps: 1 }, PriorConfig::Standard, plain),
        config(
            PosteriorConfig::Iaf { steps: 1, hidden: vec![4] },
            PriorConfig::Standard,
            Objective { importance: 4, ..plain },
        ),
        config(
            PosteriorConfig::Diagonal,
            PriorConfig::Standard,
            Objective { total_correlation: 3.0, ..plain },
        ),
    ];
    for config in configs {
        let network = network(&config);
        let rows = rows(5);
        let loss = |network: &Autoencoder| {
            device().seed(11);
            network.loss(&rows, 1.0, 100)
        };
        let gradients = loss(&network).backward();
        for (parameter, found) in first_gradients(&network, &gradients).into_iter().enumerate() {
            let Some(found) = found else { continue };
            let at = |by: f64| numbers(loss(&nudged(&network, parameter, by)))[0];
            let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!(
                (found - expected).abs() < 1e-4 * expected.abs().max(1.0),
                "{config:?}, parameter {parameter}: {found} {expected}"
            );
        }
    }
}

/// Sets the second half of each bias of the encoder, the log deviations, to the least.
struct Silence;

impl ModuleMapper for Silence {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Both of the encoder have four outputs, the decoder's have three.
        param.map(|tensor| {
            if tensor.dims()[D - 1] != 4 {
                return tensor;
            }
            let keep = Tensor::<1>::from_data([1.0, 1.0, 0.0, 0.0], &tensor.device());
            let least = Tensor::<1>::from_data([0.0, 0.0, -100.0, -100.0], &tensor.device());
            let kept = tensor * keep.unsqueeze();
            (if D == 1 { kept + least.unsqueeze() } else { kept }).detach().require_grad()
        })
    }
}

#[test]
fn without_noise_and_divergence_it_is_the_autoencoder() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let silent = Objective { beta: 0.0, ..Objective::default() };
    let network =
        network(&config(PosteriorConfig::Diagonal, PriorConfig::Standard, silent)).map(&mut Silence);
    let rows = rows(50);
    let outputs = network.decode(network.encode(&rows), None);
    let squares = numbers((outputs - rows.cells.clone()).square().sum_dim(1).mean())[0];
    let constant = 3.0 * (DEVIATION.ln() + 0.5 * std::f64::consts::TAU.ln());
    let expected = squares / (2.0 * DEVIATION * DEVIATION) + constant;
    let loss = numbers(network.loss(&rows, 1.0, 100))[0];
    assert!((loss - expected).abs() < 0.01, "{loss} {expected}");
}

#[test]
fn missing_cells_do_not_count() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let network = network(&config(PosteriorConfig::Diagonal, PriorConfig::Standard, Objective::default()));
    let rows = rows(4);
    let observed = Tensor::<2>::from_data([[1.0, 0.0, 1.0]], &device()).repeat(&[4, 1]);
    let bound = |cells: Tensor<2>| {
        device().seed(2);
        let rows = Rows { cells, observed: Some(observed.clone()), ..rows.clone() };
        numbers(network.terms(&rows).reconstruction)
    };
    let other = rows.cells.clone() + Tensor::<2>::from_data([[0.0, 7.0, 0.0]], &device());
    assert_eq!(bound(rows.cells.clone()), bound(other));
}
