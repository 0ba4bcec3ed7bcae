//! Training: one step down the negative log-likelihood of a batch.

use std::ops::Range;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use dozen_data::{Fingerprint, Matrix, Schema};
use dozen_kernels::Dropout;
use dozen_nn::{
    Error, History, Learner, Observer, Progress, RunFolder, RunObserver, StepContext, Terms, Trained,
    TrainingRecord, train,
};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::heads;
use super::layout::{Layout, to_tensor};
use super::model::{fresh_networks, mixture_log_prob};
use super::networks::Network;
use super::tree::TreeStart;
use super::{Baselines, Model, ModelConfig, Ordering, Saved};

/// Draws of known and unknown variables for each held-out row when an order-agnostic model is validated.
const VALIDATION_DRAWS: u64 = 4;

/// Everything that training a model needs.
pub struct TrainRequest<'a> {
    /// The model's shape.
    pub model: ModelConfig,
    /// The columns.
    pub columns: Schema,
    /// Encoded training rows.
    pub train: &'a Matrix,
    /// Encoded held-out rows, for early stopping.
    pub valid: Option<&'a Matrix>,
    /// How to train.
    pub record: TrainingRecord,
    /// The files that the rows came from.
    pub data: Vec<Fingerprint>,
}

/// Trains a model and leaves its configuration, weights and baselines in the run's folder.
///
/// # Errors
/// As [`fit`], and when the disk fails.
pub fn train_model(
    request: TrainRequest,
    run: &RunFolder,
    devices: &[Device],
    progress: Progress,
) -> Result<(Model, Baselines, History), Error> {
    let mut observer = RunObserver::new(run, progress, request.record.training.tensorboard)?;
    let (model, baselines, history) = fit(request, devices, &mut observer)?;
    drop(observer);
    model.write(run)?;
    Ok((model, baselines, history))
}

/// Trains a model on one device, or with each batch shared out to several; with `&mut ()` as the observer in memory.
///
/// # Errors
/// When the configuration makes no sense, the loss is no longer finite, or the observer ends it.
pub fn fit(
    request: TrainRequest,
    devices: &[Device],
    observer: &mut dyn Observer,
) -> Result<(Model, Baselines, History), Error> {
    request.record.validate()?;
    request.model.validate()?;
    let device = &devices[0];
    if request.model.tree_start && request.model.ordering != Ordering::ChowLiu {
        return Err(Error::Setting(
            "starting at the tree needs `order` chow-liu, in which parents precede children".into(),
        ));
    }
    let baselines = Baselines::fit(request.train, &request.columns);
    let config = Saved {
        order: order(&request, &baselines),
        model: request.model,
        columns: request.columns,
        record: request.record,
        data: request.data,
    };
    let layout = Layout::new(&config.columns, &config.order, config.model.mixtures);
    let tree = config.model.tree_start.then(|| TreeStart(baselines.tree()));
    let networks = fresh_networks(&config, &layout, tree.as_ref(), &device.clone().autodiff());
    let mut learner = AutoregressiveLearner {
        networks: config.record.begin(networks),
        train: layout.arrange(request.train),
        valid: request.valid.map(|valid| layout.arrange(valid)),
        log_scale: layout.log_scale.iter().sum(),
        layout,
        dropout: config.model.dropout,
        devices: devices.to_vec(),
    };
    let history = train(&mut learner, request.train.rows(), &config.record.training, observer)?;
    let model = Model::new(config, learner.networks.evaluated(), device).with_baselines(baselines.clone());
    Ok((model, baselines, history))
}

fn order(request: &TrainRequest, baselines: &Baselines) -> Vec<usize> {
    let mut order: Vec<usize> = (0..request.columns.columns.len()).collect();
    match request.model.ordering {
        Ordering::Natural => order,
        Ordering::Random => {
            order.shuffle(&mut StdRng::seed_from_u64(request.record.training.seed));
            order
        }
        Ordering::ChowLiu => baselines.tree().order.clone(),
    }
}

struct AutoregressiveLearner {
    networks: Trained<Vec<Network>>,
    train: Matrix,
    valid: Option<Matrix>,
    layout: Layout,
    dropout: f64,
    log_scale: f64,
    devices: Vec<Device>,
}

/// The mean negative log-likelihood of arranged rows in nats, summed over the members.
fn loss(
    layout: &Layout,
    networks: &[Network],
    rows: &Matrix,
    device: &Device,
    (step, dropout): (u64, Dropout),
) -> Tensor<1> {
    let inputs = layout.inputs(rows, device);
    let cells = if layout.is_binary() { inputs.clone() } else { to_tensor(rows, device) };
    let losses = networks.iter().enumerate().map(|(member, network)| {
        let own = dropout.at(1000 + member as u64, 1.0);
        let log_prob = match network {
            Network::DeepNade(network) => {
                let known = known_variables(rows.rows(), layout.len(), dropout.seed ^ member as u64);
                let known = to_tensor(&known, device);
                let outputs = network.outputs_given(inputs.clone(), known.clone(), own);
                order_agnostic_log_prob(layout, outputs, cells.clone(), known)
            }
            network => {
                let order = (step as usize + member) % network.orders();
                heads::log_prob(layout, network.outputs(inputs.clone(), order, own), cells.clone())
            }
        };
        log_prob.mean().neg()
    });
    losses.reduce(|sum, loss| sum + loss).expect("a model has members")
}

impl Learner for AutoregressiveLearner {
    fn step(&mut self, rows: &[usize], context: StepContext) -> Terms {
        let members = self.networks.module().len() as f64;
        let (layout, train, probability) = (&self.layout, &self.train, self.dropout);
        let loss = |networks: &Vec<Network>, share: Range<usize>, device: &Device| {
            // Each share's own dropout and known variables.
            let dropout = Dropout { probability, seed: context.seed ^ share.start as u64 };
            loss(layout, networks, &train.select(&rows[share]), device, (context.step, dropout))
        };
        let value = self.networks.descend_shares(&self.devices, rows.len(), &|_| context.rate, loss);
        vec![("nats_per_row", value / members + self.log_scale)]
    }

    fn validate(&mut self) -> Terms {
        let Some(valid) = &self.valid else { return Vec::new() };
        let networks = self.networks.evaluated();
        let mut sum = 0.0;
        for piece in valid.chunks(1000) {
            sum -= match &networks[0] {
                Network::DeepNade(_) => (0..VALIDATION_DRAWS)
                    .map(|draw| {
                        let none = Dropout { probability: 0.0, seed: draw };
                        let loss = loss(&self.layout, &networks, &piece, &self.devices[0], (0, none));
                        -f64::from(loss.into_scalar::<f32>()) / networks.len() as f64 * piece.rows() as f64
                            / VALIDATION_DRAWS as f64
                    })
                    .sum::<f64>(),
                _ => mixture_log_prob(&networks, &self.layout, &piece, &self.devices[0]).iter().sum(),
            };
        }
        vec![("nats_per_row", sum / valid.rows() as f64 + self.log_scale)]
    }

    fn save(&self, folder: &Path, with_optimizer: bool) -> Result<(), Error> {
        self.networks.save(folder, "model", with_optimizer)
    }

    fn load(&mut self, folder: &Path, with_optimizer: bool) -> Result<(), Error> {
        let folder: PathBuf = folder.into();
        self.networks.load(&folder, "model", with_optimizer)
    }

    fn remember(&mut self) {
        self.networks.remember();
    }

    fn recall(&mut self) {
        self.networks.recall();
    }

    fn device(&self) -> Device {
        self.devices[0].clone()
    }
}

/// Marks for each row a uniform number of variables, from none to all but one, chosen at random, as known.
fn known_variables(rows: usize, n: usize, seed: u64) -> Matrix {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut values = vec![0.0; rows * n];
    let mut positions: Vec<usize> = (0..n).collect();
    for row in values.chunks_exact_mut(n) {
        let count = rng.random_range(0..n);
        let (chosen, _) = positions.partial_shuffle(&mut rng, count);
        for &mut position in chosen {
            row[position] = 1.0;
        }
    }
    Matrix::new(values, n)
}

/// An unbiased estimate of the mean log-probability over all orders: the unknown variables' log-probabilities times
/// `n / (n - known)` (Uria et al. 2014, eq. 5).
fn order_agnostic_log_prob(
    layout: &Layout,
    outputs: Tensor<2>,
    cells: Tensor<2>,
    known: Tensor<2>,
) -> Tensor<1> {
    let n = layout.len() as f64;
    let unknown = known.neg() + 1.0;
    let weight = unknown.clone().sum_dim(1).recip() * n;
    let terms = heads::log_prob_by_position(layout, outputs, cells);
    ((terms * unknown).sum_dim(1) * weight).squeeze_dim(1)
}
