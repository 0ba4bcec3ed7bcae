//! Training: one step down the negative log-likelihood of a batch.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dozen_data::Matrix;
use dozen_nn::{
    Error, History, Learner, Observer, Progress, RunFolder, RunObserver, StepContext, Terms, Trained, train,
};

use super::model::fresh;
use super::{Calibration, Flow, Model, Saved, Solver};
use crate::tensors::to_tensor;

/// Everything that training a flow needs: encoded rows, and their conditions' cells beside them.
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
    /// A rectified flow to straighten (Liu et al. 2023, section 2.2): the new one goes on from it, and learns the lines from rows of the base to what
    /// it makes of them, under the conditions of the rows given; the rows themselves are not used.
    pub reflow: Option<&'a Model>,
}

/// Steps of the solver that makes couples.
const COUPLING_STEPS: usize = 24;

/// Held-out rows that odd ones are compared with, at most.
const CALIBRATED: usize = 10_000;

/// Rows that actnorms begin at.
const FIRST_ROWS: usize = 2000;

/// Trains a flow and leaves its configuration and weights in the run's folder.
///
/// # Errors
/// As [`fit`], and when the disk fails.
pub fn train_model(
    request: TrainRequest,
    run: &RunFolder,
    devices: &[Device],
    progress: Progress,
) -> Result<(Model, History), Error> {
    let mut observer = RunObserver::new(run, progress, request.config.record.training.tensorboard)?;
    let (model, history) = fit(request, devices, &mut observer)?;
    drop(observer);
    model.write(run)?;
    Ok((model, history))
}

/// Trains a flow on one device, or with each batch shared out to several; with `&mut ()` as the observer in memory.
///
/// # Errors
/// When the configuration makes no sense, the loss is no longer finite, or the observer ends it.
pub fn fit(
    request: TrainRequest,
    devices: &[Device],
    observer: &mut dyn Observer,
) -> Result<(Model, History), Error> {
    let TrainRequest { config, train: rows, train_condition, valid, valid_condition, reflow } = request;
    config.record.validate()?;
    config.model.validate(rows.columns())?;
    if devices.len() > 1 && (config.draws_in_training() || reflow.is_some()) {
        return Err(Error::Request(
            "the loss of this flow draws random numbers, which each device would do in its own order; train it on one".into(),
        ));
    }
    let device = &devices[0];
    let own = (valid, valid_condition);
    let couples = |teacher: &Model| {
        // Where the flow leads, however coarse the steps that it is used with.
        let teacher = teacher.with_solver(Solver::Rk4 { steps: COUPLING_STEPS });
        let seed = config.record.training.seed;
        [(rows, train_condition, seed + 1), (valid, valid_condition, seed + 2)]
            .map(|(rows, condition, seed)| teacher.couples(rows.rows(), condition, seed))
    };
    let couples = reflow.map(couples);
    let (rows, valid) = match &couples {
        Some([(_, train), (_, valid)]) => (train, valid),
        None => (rows, valid),
    };
    let tracked = device.clone().autodiff();
    let first: Vec<usize> = (0..rows.rows().min(FIRST_ROWS)).collect();
    let (x, context) = batch(&config, (rows, train_condition), &first, 0, device);
    let flow = if let Some(teacher) = reflow {
        teacher.flow.clone().train()
    } else {
        let flow = fresh(&config, &tracked);
        let (x, _) = flow.valid().with_noise(x, context.as_ref(), 0);
        flow.fitted(x, context.as_ref())
    };
    let mut learner = FlowLearner {
        flow: config.record.begin(flow),
        train: (rows, train_condition),
        valid: (valid, valid_condition),
        base: couples.as_ref().map(|[(train, _), (valid, _)]| [train, valid]),
        log_scale: config.log_scale(),
        config: config.clone(),
        devices: devices.to_vec(),
    };
    let history = train(&mut learner, rows.rows(), &config.record.training, observer)?;
    let model = Model::new(config, learner.flow.evaluated(), device);
    Ok((calibrated(model, own), history))
}

/// The model with what rows are compared with: the held-out ones, where there are any.
fn calibrated(model: Model, (valid, condition): (&Matrix, &Matrix)) -> Model {
    let some: Vec<usize> = (0..valid.rows().min(CALIBRATED)).collect();
    if some.is_empty() {
        return model;
    }
    let calibration = Calibration::new(model.log_prob(&valid.select(&some), &condition.select(&some)));
    model.with_calibration(calibration)
}

struct FlowLearner<'a> {
    flow: Trained<Flow>,
    /// Rows and their conditions.
    train: (&'a Matrix, &'a Matrix),
    valid: (&'a Matrix, &'a Matrix),
    /// What they are matched with, where that is not chance.
    base: Option<[&'a Matrix; 2]>,
    log_scale: f64,
    config: Saved,
    devices: Vec<Device>,
}

impl FlowLearner<'_> {
    /// What standardisation adds to a loss in nats.
    fn constant(&self, loss: &str) -> f64 {
        if loss == "nats_per_row" { self.log_scale } else { 0.0 }
    }
}

/// Some of the rows and their conditions' inputs; whole numbers with noise by a seed.
fn batch(
    config: &Saved,
    (cells, condition): (&Matrix, &Matrix),
    rows: &[usize],
    seed: u64,
    device: &Device,
) -> (Tensor<2>, Option<Tensor<2>>) {
    let context = config.context(&condition.select(rows), device);
    let cells = config.with_noise(&cells.select(rows), 0, seed);
    (to_tensor(&cells, device), context)
}

impl Learner for FlowLearner<'_> {
    fn step(&mut self, rows: &[usize], context: StepContext) -> Terms {
        let (config, train, base) = (&self.config, self.train, self.base);
        let name = self.flow.module().loss_name();
        let value =
            self.flow.descend_shares(&self.devices, rows.len(), &|_| context.rate, |flow, share, device| {
                // Each share's own noise on whole numbers.
                let seed = context.seed ^ share.start as u64;
                let rows = &rows[share];
                let (x, condition) = batch(config, train, rows, seed, device);
                let base = base.map(|[train, _]| to_tensor(&train.select(rows), device));
                device.seed(seed);
                flow.loss(x, condition.as_ref(), base, seed)
            });
        vec![(name, value + self.constant(name))]
    }

    fn validate(&mut self) -> Terms {
        if self.valid.0.rows() == 0 {
            return Vec::new();
        }
        let flow = self.flow.evaluated();
        let rows: Vec<usize> = (0..self.valid.0.rows()).collect();
        let mut sum = 0.0;
        for (piece, rows) in rows.chunks(1000).enumerate() {
            let (x, condition) = batch(&self.config, self.valid, rows, piece as u64, &self.devices[0]);
            let base = self.base.map(|[_, valid]| to_tensor(&valid.select(rows), &self.devices[0]));
            let loss = flow.loss(x, condition.as_ref(), base, piece as u64);
            sum += f64::from(loss.into_scalar::<f32>()) * rows.len() as f64;
        }
        let name = flow.loss_name();
        vec![(name, sum / rows.len() as f64 + self.constant(name))]
    }

    fn save(&self, folder: &Path, with_optimizer: bool) -> Result<(), Error> {
        self.flow.save(folder, "model", with_optimizer)
    }

    fn load(&mut self, folder: &Path, with_optimizer: bool) -> Result<(), Error> {
        self.flow.load(folder, "model", with_optimizer)
    }

    fn remember(&mut self) {
        self.flow.remember();
    }

    fn recall(&mut self) {
        self.flow.recall();
    }

    fn device(&self) -> Device {
        self.devices[0].clone()
    }
}
