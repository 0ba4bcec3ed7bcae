//! Training: one step down the objective of a batch.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use dozen_data::Matrix;
use dozen_nn::{
    Error, History, Learner, ModelFolder, Optimizer, Progress, RunFolder, StepContext, Terms as LossTerms,
    Trained, train,
};

use super::model::fresh;
use super::posterior::log_sum_exp;
use super::{Autoencoder, Config, FAMILY, Model, Rows};
use crate::autoregressive::layout::Layout;
use crate::tensors::{to_host, to_tensor};

/// Everything that training needs: encoded rows, whose missing cells are no numbers, and their conditions' cells beside them.
pub struct TrainRequest<'a> {
    /// The configuration.
    pub config: Config,
    /// Training rows.
    pub train: &'a Matrix,
    /// Their conditions; of no columns where there is none.
    pub train_condition: &'a Matrix,
    /// Held-out rows, for early stopping.
    pub valid: &'a Matrix,
    /// Their conditions.
    pub valid_condition: &'a Matrix,
}

/// Rows that a prior of learnt inputs begins at, at most.
const FIRST_ROWS: usize = 2000;

/// Trains an autoencoder and leaves its configuration and weights in the run's folder.
pub fn train_model(
    request: TrainRequest,
    run: &RunFolder,
    device: &Device,
    progress: Progress,
) -> Result<(Model, History), Error> {
    let TrainRequest { config, train: rows, train_condition, valid, valid_condition } = request;
    config.model.validate(config.condition_width())?;
    let tracked = device.clone().autodiff();
    let first: Vec<usize> = (0..rows.rows().min(FIRST_ROWS)).collect();
    let begun = config.rows(&rows.select(&first), &train_condition.select(&first), &tracked);
    let network = fresh(&config, &tracked).fitted(&begun);
    let mut learner = VaeLearner {
        network: Trained::new(network, Optimizer::new(config.optimizer, config.clip_norm), config.ema),
        train: (rows, train_condition),
        valid: (valid, valid_condition),
        log_scale: config.log_scale(),
        config: config.clone(),
        device: device.clone(),
    };
    let history = train(&mut learner, rows.rows(), &config.training, run, progress)?;
    ModelFolder::write_config(run, FAMILY, &config)?;
    learner.network.save(run.path(), "model", false)?;
    let model = Model::new(config, learner.network.evaluated(), device);
    Ok((model, history))
}

struct VaeLearner<'a> {
    network: Trained<Autoencoder>,
    /// Rows and their conditions.
    train: (&'a Matrix, &'a Matrix),
    valid: (&'a Matrix, &'a Matrix),
    log_scale: f64,
    config: Config,
    device: Device,
}

impl Config {
    /// The inputs of a table's cells: numbers and bits as they are, categories as one of many.
    fn layout(columns: &dozen_data::Schema) -> Layout {
        let order: Vec<usize> = (0..columns.columns.len()).collect();
        Layout::new(columns, &order, 0)
    }

    /// Inputs of the columns.
    pub(super) fn input_width(&self) -> usize {
        Self::layout(&self.columns).input_sizes().iter().sum()
    }

    /// Inputs of the condition.
    pub(super) fn condition_width(&self) -> usize {
        Self::layout(&self.condition).input_sizes().iter().sum()
    }

    /// The inputs of a condition, where there is one.
    pub(super) fn context(&self, condition: &Matrix, device: &Device) -> Option<Tensor<2>> {
        let layout = Self::layout(&self.condition);
        (layout.len() > 0).then(|| layout.inputs(condition, device))
    }

    /// `sum ln deviation` of columns with a density: what standardisation adds to it.
    pub(super) fn log_scale(&self) -> f64 {
        if self.model.likelihood == super::Likelihood::Bernoulli {
            return 0.0;
        }
        Self::layout(&self.columns).log_scale.iter().sum()
    }

    /// Encoded cells as networks take them.
    pub(super) fn rows(&self, cells: &Matrix, condition: &Matrix, device: &Device) -> Rows {
        let condition = self.context(condition, device);
        let layout = Self::layout(&self.columns);
        if !cells.values().iter().any(|cell| cell.is_nan()) {
            let explained = to_tensor(cells, device);
            let plain = layout.input_sizes().iter().all(|size| *size == 1);
            let inputs = if plain { explained.clone() } else { layout.inputs(cells, device) };
            return Rows { inputs: seen(inputs), cells: explained, observed: None, condition };
        }
        let shape = [cells.rows(), cells.columns()];
        let there = cells.values().iter().map(|cell| f32::from(u8::from(!cell.is_nan()))).collect::<Vec<_>>();
        let filled = cells.values().iter().map(|cell| if cell.is_nan() { 0.0 } else { *cell }).collect();
        let filled = Matrix::new(filled, cells.columns());
        // Of a missing category no level is one, of a missing number the mean is seen.
        let mut inputs = to_host(layout.inputs(&filled, device));
        let width = self.input_width();
        for (row, inputs) in inputs.chunks_exact_mut(width).enumerate() {
            let mut first = 0;
            for (column, size) in layout.input_sizes().into_iter().enumerate() {
                if cells.row(row)[column].is_nan() {
                    inputs[first..first + size].fill(0.0);
                }
                first += size;
            }
        }
        Rows {
            inputs: seen(to_tensor(&Matrix::new(inputs, width), device)),
            cells: to_tensor(&filled, device),
            observed: Some(Tensor::from_data(TensorData::new(there, shape), device)),
            condition,
        }
    }
}

/// Inputs held within ten deviations: a row far out, which heavy tails have, would otherwise throw the encoder.
fn seen(inputs: Tensor<2>) -> Tensor<2> {
    inputs.clamp(-FURTHEST, FURTHEST)
}

const FURTHEST: f64 = 10.0;

impl VaeLearner<'_> {
    /// The divergence's share of its weight at a step.
    fn share(&self, step: u64) -> f64 {
        let warm_up = self.config.model.objective.warm_up;
        if warm_up == 0 { 1.0 } else { (step as f64 / warm_up as f64).min(1.0) }
    }
}

impl Learner for VaeLearner<'_> {
    fn step(&mut self, rows: &[usize], context: StepContext) -> LossTerms {
        let device = self.device.clone().autodiff();
        device.seed(context.seed);
        let (cells, condition) = (self.train.0.select(rows), self.train.1.select(rows));
        let batch = self.config.rows(&cells, &condition, &device);
        let loss = self.network.module().loss(&batch, self.share(context.step), self.train.0.rows());
        let value = f64::from(loss.clone().into_scalar::<f32>());
        if value.is_finite() {
            self.network.descend(&loss, context.rate);
        }
        vec![("objective_nats_per_row", value + self.log_scale)]
    }

    fn validate(&mut self) -> LossTerms {
        let (cells, conditions) = self.valid;
        if cells.rows() == 0 {
            return Vec::new();
        }
        let network = self.network.evaluated();
        // The same draws at each validation.
        self.device.seed(self.config.training.seed);
        let rows: Vec<usize> = (0..cells.rows()).collect();
        let draws = self.config.model.objective.importance;
        let (mut reconstruction, mut divergence, mut bound) = (0.0, 0.0, 0.0);
        for own in rows.chunks((1000 / draws).max(1)) {
            let batch = self.config.rows(&cells.select(own), &conditions.select(own), &self.device);
            if draws > 1 {
                // What is trained on says when to stop: the bound of one draw falls while that of several rises.
                let weights = log_sum_exp(network.log_weights(&batch, draws), 0) - (draws as f64).ln();
                bound += f64::from(weights.sum().into_scalar::<f32>());
            }
            let terms = network.terms(&batch);
            reconstruction += f64::from(terms.reconstruction.sum().into_scalar::<f32>());
            divergence += f64::from(terms.divergence.sum().into_scalar::<f32>());
        }
        let count = rows.len() as f64;
        let (reconstruction, divergence) = (reconstruction / count - self.log_scale, divergence / count);
        let mut terms = vec![
            ("negative_elbo_nats_per_row", divergence - reconstruction),
            ("reconstruction_nats_per_row", reconstruction),
            ("kl_nats_per_row", divergence),
        ];
        if draws > 1 {
            terms.insert(0, ("negative_bound_nats_per_row", self.log_scale - bound / count));
        }
        terms
    }

    fn save(&self, folder: &Path, with_optimizer: bool) -> Result<(), Error> {
        self.network.save(folder, "model", with_optimizer)
    }

    fn load(&mut self, folder: &Path, with_optimizer: bool) -> Result<(), Error> {
        self.network.load(folder, "model", with_optimizer)
    }

    fn device(&self) -> Device {
        self.device.clone()
    }
}
