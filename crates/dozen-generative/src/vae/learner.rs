//! Training: one step down the objective of a batch.

use std::path::Path;

use burn::tensor::Device;
use dozen_data::Matrix;
use dozen_kernels::log_sum_exp;
use dozen_nn::{
    Error, History, Learner, Observer, Progress, RunFolder, RunObserver, StepContext, Terms as LossTerms,
    Trained, train,
};

use super::model::fresh;
use super::{Autoencoder, Model, Saved};

/// Everything that training needs: encoded rows, whose missing cells are no numbers, and their conditions' cells beside them.
pub struct TrainRequest<'a> {
    /// The configuration.
    pub config: Saved,
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
///
/// # Errors
/// As [`fit`], and when the disk fails.
pub fn train_model(
    request: TrainRequest,
    run: &RunFolder,
    device: &Device,
    progress: Progress,
) -> Result<(Model, History), Error> {
    let mut observer = RunObserver::new(run, progress, request.config.record.training.tensorboard)?;
    let (model, history) = fit(request, device, &mut observer)?;
    drop(observer);
    model.write(run)?;
    Ok((model, history))
}

/// Trains an autoencoder; with `&mut ()` as the observer in memory.
///
/// # Errors
/// When the configuration makes no sense, the loss is no longer finite, or the observer ends it.
pub fn fit(
    request: TrainRequest,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<(Model, History), Error> {
    let TrainRequest { config, train: rows, train_condition, valid, valid_condition } = request;
    config.record.validate()?;
    config.model.validate(config.condition_width())?;
    let tracked = device.clone().autodiff();
    let first: Vec<usize> = (0..rows.rows().min(FIRST_ROWS)).collect();
    let begun = config.rows(&rows.select(&first), &train_condition.select(&first), &tracked);
    let network = fresh(&config, &tracked).fitted(&begun);
    let mut learner = VaeLearner {
        network: config.record.begin(network),
        train: (rows, train_condition),
        valid: (valid, valid_condition),
        log_scale: config.log_scale(),
        config: config.clone(),
        device: device.clone(),
    };
    let history = train(&mut learner, rows.rows(), &config.record.training, observer)?;
    let model = Model::new(config, learner.network.evaluated(), device);
    Ok((model, history))
}

struct VaeLearner<'a> {
    network: Trained<Autoencoder>,
    /// Rows and their conditions.
    train: (&'a Matrix, &'a Matrix),
    valid: (&'a Matrix, &'a Matrix),
    log_scale: f64,
    config: Saved,
    device: Device,
}

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
        self.device.seed(self.config.record.training.seed);
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

    fn remember(&mut self) {
        self.network.remember();
    }

    fn recall(&mut self) {
        self.network.recall();
    }

    fn device(&self) -> Device {
        self.device.clone()
    }
}
