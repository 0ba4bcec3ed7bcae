//! Training: some steps of the critic, then one of the generator.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use dozen_data::{Matrix, split_rows};
use dozen_nn::{
    Decay, Error, History, Learner, Observer, Progress, RunFolder, RunObserver, StepContext, Terms, Trained,
    read_tensors, train, write_tensors,
};

use super::lipschitz::r1;
use super::{
    Critic, Generator, Lipschitz, Loss, Model, Saved, clip_weights, gradient_penalty, unrolled_value,
};
use crate::metrics::wasserstein;
use crate::tensors::{to_host, to_tensor};

/// Everything that training needs: encoded rows, and their conditions' cells beside them.
pub struct TrainRequest<'a> {
    /// The configuration.
    pub config: Saved,
    /// Training rows.
    pub train: &'a Matrix,
    /// Their conditions; of no columns where there is none.
    pub train_condition: &'a Matrix,
    /// Held-out rows, whose distance from samples is measured.
    pub valid: &'a Matrix,
    /// Their conditions.
    pub valid_condition: &'a Matrix,
}

/// Held-out rows whose distance from samples is measured after each epoch, at most.
const COMPARED: usize = 500;

/// Images drawn from the same noise after each epoch.
const FRAME: usize = 64;

/// Trains both networks and leaves their configuration and weights in the run's folder. Gives the images drawn from one
/// noise after each epoch, too, `FRAME` of them a time.
///
/// # Errors
/// As [`fit`], and when the disk fails.
pub fn train_model(
    request: TrainRequest,
    run: &RunFolder,
    device: &Device,
    progress: Progress,
) -> Result<(Model, History, Vec<Matrix>), Error> {
    let mut observer = RunObserver::new(run, progress, request.config.record.training.tensorboard)?;
    let (model, history, frames) = fit(request, device, &mut observer)?;
    drop(observer);
    model.write(run)?;
    Ok((model, history, frames))
}

/// Trains both networks; with `&mut ()` as the observer in memory.
///
/// # Errors
/// When the configuration makes no sense, a loss is no longer finite, or the observer ends it.
pub fn fit(
    request: TrainRequest,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<(Model, History, Vec<Matrix>), Error> {
    let TrainRequest { config, train: cells, train_condition, valid, valid_condition } = request;
    config.record.validate()?;
    config.validate()?;
    let rows = config.layout.encode(cells, config.record.training.seed);
    let first: Vec<usize> = (0..valid.rows().min(COMPARED)).collect();
    let held_out = config.layout.encode(&valid.select(&first), config.record.training.seed);
    let (generator, critic) = config.fresh(&device.clone().autodiff());
    let mut learner = GanLearner {
        generator: config.record.begin(generator),
        critic: Trained::new(critic, config.record.optimizer(), None),
        rows: &rows,
        condition: train_condition,
        valid: (held_out, valid_condition.select(&first)),
        frames: Vec::new(),
        config: config.clone(),
        device: device.clone(),
    };
    let history = train(&mut learner, rows.rows(), &config.record.training, observer)?;
    let GanLearner { generator, critic, frames, .. } = learner;
    let model = Model::new(config, generator.evaluated(), critic.evaluated(), device);
    Ok((model, history, frames))
}

struct GanLearner<'a> {
    generator: Trained<Generator>,
    critic: Trained<Critic>,
    /// As the networks see them.
    rows: &'a Matrix,
    condition: &'a Matrix,
    /// Rows and conditions.
    valid: (Matrix, Matrix),
    /// Drawn from one noise after each epoch.
    frames: Vec<Matrix>,
    config: Saved,
    device: Device,
}

/// Rows and the inputs of their condition.
struct Batch {
    real: Tensor<2>,
    condition: Option<Tensor<2>>,
}

impl GanLearner<'_> {
    fn batch(&self, rows: &[usize]) -> Batch {
        let device = self.device.clone().autodiff();
        Batch { real: to_tensor(&self.rows.select(rows), &device), condition: self.context(rows, &device) }
    }

    /// The inputs of the rows' condition.
    fn context(&self, rows: &[usize], device: &Device) -> Option<Tensor<2>> {
        self.config.context(&self.condition.select(rows), device)
    }

    fn noise(&self, rows: usize, device: &Device) -> Tensor<2> {
        Tensor::random([rows, self.config.model.noise], Distribution::Normal(0.0, 1.0), device)
    }

    /// One step of the critic; gives its loss, and its values at data and samples.
    fn step_critic(&mut self, rows: &[usize], context: StepContext, seed: u64) -> CriticStep {
        let batch = self.batch(rows);
        let model = &self.config.model;
        if matches!(model.lipschitz, Lipschitz::Spectral { .. }) {
            self.critic.module().iterate_norms();
        }
        let fake = self.fake(rows.len(), batch.condition.as_ref());
        let critic = self.critic.module();
        let condition = batch.condition.as_ref();
        let [real_values, fake_values] = values(critic, model.critic_batch_norm, &batch, &fake, seed);
        let mut loss = model.loss.of_critic(real_values.clone(), fake_values.clone(), model.label_smoothing);
        let plain = loss.clone();
        match model.lipschitz {
            Lipschitz::GradientPenalty { weight } => {
                let uniform = Distribution::Uniform(0.0, 1.0);
                let shares = Tensor::random([rows.len(), 1], uniform, &batch.real.device());
                loss = loss + gradient_penalty(critic, &batch.real, &fake, shares, condition) * weight;
            }
            Lipschitz::R1 { weight } => loss = loss + r1(critic, batch.real.clone(), condition) * weight,
            Lipschitz::None | Lipschitz::Clip { .. } | Lipschitz::Spectral { .. } => {}
        }
        let total = scalar(loss.clone());
        let plain = scalar(plain);
        if total.is_finite() {
            self.critic.descend(&loss, context.rate);
            if let Lipschitz::Clip { bound } = self.config.model.lipschitz {
                self.critic.change(|critic| clip_weights(critic, bound));
            }
        }
        CriticStep { loss: total, plain, real: to_host(real_values), fake: to_host(fake_values) }
    }

    /// Samples that no gradient reaches.
    fn fake(&self, rows: usize, condition: Option<&Tensor<2>>) -> Tensor<2> {
        let noise = self.noise(rows, &self.device);
        let condition = condition.map(|condition| condition.clone().inner());
        let fake = self.generator.module().valid().forward(noise, condition.as_ref(), true);
        Tensor::from_inner(fake)
    }

    fn step_generator(&mut self, rows: &[usize], context: StepContext, seed: u64) -> f64 {
        let device = self.device.clone().autodiff();
        let context_inputs = self.context(rows, &device);
        let noise = self.noise(rows.len(), &device);
        let condition = context_inputs.as_ref();
        let fake = self.generator.module().forward(noise, condition, true);
        // Its weights need no gradient now.
        let critic = self.critic.module().clone().no_grad();
        let model = &self.config.model;
        let loss = if model.unrolled > 0 {
            let optimizer = self.critic.optimizer();
            unrolled_value(&critic, optimizer, &self.batch(rows).real, &fake, model.unrolled, context.rate)
        } else {
            model.loss.of_generator(critic.value_in_training(fake, condition, seed))
        };
        let value = scalar(loss.clone());
        if value.is_finite() {
            self.generator.descend(&loss, context.rate * model.generator_rate);
        }
        value
    }

    /// Rows drawn by the evaluated generator, as the networks see them.
    fn drawn(&self, rows: usize, condition: &Matrix) -> Matrix {
        let context = self.config.context(condition, &self.device);
        self.device.seed(self.config.record.training.seed);
        let noise = self.noise(rows, &self.device);
        let made = self.generator.evaluated().forward(noise, context.as_ref(), false);
        Matrix::new(to_host(made), self.config.layout.width())
    }
}

struct CriticStep {
    loss: f64,
    /// The loss without the penalty.
    plain: f64,
    real: Vec<f32>,
    fake: Vec<f32>,
}

fn scalar(tensor: Tensor<1>) -> f64 {
    f64::from(tensor.into_scalar::<f32>())
}

/// The critic's values at data and at samples: apart where batch normalisation would mix them, else in one go.
fn values(critic: &Critic, apart: bool, batch: &Batch, fake: &Tensor<2>, seed: u64) -> [Tensor<2>; 2] {
    let condition = batch.condition.as_ref();
    if apart {
        return [
            critic.value_in_training(batch.real.clone(), condition, seed),
            critic.value_in_training(fake.clone(), condition, !seed),
        ];
    }
    let rows = fake.dims()[0];
    let both = Tensor::cat(vec![batch.real.clone(), fake.clone()], 0);
    let condition = condition.map(|condition| condition.clone().repeat(&[2, 1]));
    let all = critic.value_in_training(both, condition.as_ref(), seed);
    [all.clone().slice([0..rows, 0..1]), all.slice([rows..2 * rows, 0..1])]
}

fn mean(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64
}

impl Learner for GanLearner<'_> {
    /// As many steps as an epoch is to have, each with rows for all steps of the critic; all rows in turn.
    fn batches(&self, rows: usize, batch_size: usize, seed: u64) -> Vec<Vec<usize>> {
        let model = &self.config.model;
        let size = batch_size.min(rows) * model.critic_steps;
        let mut order: Vec<usize> = Vec::new();
        let mut pass = 0;
        while order.len() < size * model.steps_per_epoch {
            let whole = split_rows(rows, &[1.0], seed.wrapping_add(pass));
            order.extend(whole.expect("one share of all rows").remove(0));
            pass += 1;
        }
        order.chunks_exact(size).take(model.steps_per_epoch).map(<[usize]>::to_vec).collect()
    }

    fn step(&mut self, rows: &[usize], context: StepContext) -> Terms {
        let model = self.config.model.clone();
        self.device.seed(context.seed);
        let size = rows.len() / model.critic_steps;
        let mut last = None;
        for (step, rows) in rows.chunks_exact(size).enumerate() {
            last = Some(self.step_critic(rows, context, context.seed.wrapping_add(2 * step as u64)));
        }
        let critic = last.expect("at least one step of the critic");
        let generator = self.step_generator(&rows[..size], context, !context.seed);
        let threshold = model.loss.threshold() as f32;
        let right = critic.real.iter().filter(|value| **value > threshold).count()
            + critic.fake.iter().filter(|value| **value <= threshold).count();
        let mut terms = vec![
            ("generator_loss", generator),
            ("discriminator_loss", critic.loss),
            ("discriminator_accuracy", right as f64 / (2 * size) as f64),
        ];
        if model.loss == Loss::Wasserstein {
            terms.push(("critic_value", mean(&critic.real) - mean(&critic.fake)));
        }
        if matches!(model.loss, Loss::Minimax | Loss::NonSaturating) && model.label_smoothing == 0.0 {
            // 2 JS - 2 ln 2 is minus the least loss (Goodfellow et al. 2014, theorem 1).
            terms.push(("js_estimate_nats", std::f64::consts::LN_2 - 0.5 * critic.plain));
        }
        if model.lipschitz.is_penalty() {
            terms.push(("penalty", critic.loss - critic.plain));
        }
        terms
    }

    fn validate(&mut self) -> Terms {
        if self.config.image.is_some() {
            let order: Vec<usize> = (0..FRAME.min(self.rows.rows())).collect();
            let condition = self.condition.select(&order);
            self.frames.push(self.drawn(order.len(), &condition));
        }
        let (rows, condition) = &self.valid;
        if rows.rows() == 0 {
            return Vec::new();
        }
        let drawn = self.drawn(rows.rows(), condition);
        let distance = wasserstein(rows, &drawn).unwrap_or(f64::NAN);
        let mut terms = vec![("wasserstein1", distance)];
        if self.config.model.loss == Loss::Wasserstein {
            let critic = self.critic.evaluated();
            let context = self.config.context(condition, &self.device);
            let value =
                |rows: &Matrix| mean(&to_host(critic.value(to_tensor(rows, &self.device), context.as_ref())));
            terms.push(("critic_value", value(rows) - value(&drawn)));
        }
        terms
    }

    /// The last weights stand where the distance cannot tell looks apart: between pixels of images it says little, and of networks whose
    /// rates fell to zero it lies within chance of the least, while the last steps made them most exact.
    fn keeps_best(&self) -> bool {
        self.config.image.is_none() && self.config.record.training.schedule.decay == Decay::Constant
    }

    fn save(&self, folder: &Path, with_optimizer: bool) -> Result<(), Error> {
        self.generator.save(folder, "model", with_optimizer)?;
        self.critic.save(folder, "critic", with_optimizer)?;
        if !with_optimizer {
            return Ok(());
        }
        let frame = |(at, frame): (usize, &Matrix)| {
            (format!("{at}"), TensorData::new(frame.values().to_vec(), [frame.rows(), frame.columns()]))
        };
        let frames: Vec<_> = self.frames.iter().enumerate().map(frame).collect();
        write_tensors(&folder.join("frames.safetensors"), &frames)
    }

    fn load(&mut self, folder: &Path, with_optimizer: bool) -> Result<(), Error> {
        self.generator.load(folder, "model", with_optimizer)?;
        self.critic.load(folder, "critic", with_optimizer)?;
        if with_optimizer {
            let tensors = read_tensors(&folder.join("frames.safetensors"))?;
            let width = self.config.layout.width();
            let frame = |at: usize| {
                let values = tensors.get(&at.to_string())?.clone().try_to_vec::<f32>().ok()?;
                Some(Matrix::new(values, width))
            };
            self.frames = (0..tensors.len()).filter_map(frame).collect();
        }
        Ok(())
    }

    fn remember(&mut self) {
        self.generator.remember();
        self.critic.remember();
    }

    fn recall(&mut self) {
        self.generator.recall();
        self.critic.recall();
    }

    fn device(&self) -> Device {
        self.device.clone()
    }
}
