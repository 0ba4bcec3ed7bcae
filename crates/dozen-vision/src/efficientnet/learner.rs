//! Training: cross-entropy of augmented pictures.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use dozen_kernels::log_softmax;
use dozen_nn::{
    Error, History, Learner, Observer, Progress, RunFolder, RunObserver, StepContext, Terms, Trained, train,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;

use super::{Config, EfficientNet, Engine, Model, Settings};
use crate::ahead::Ahead;
use crate::labelled::Labelled;
use crate::picture::{Augmentation, Preprocessing, cut_mix, mix};

/// Everything that training needs.
pub struct TrainRequest<'a> {
    /// The configuration, with training and augmentation.
    pub config: Config,
    /// The network to begin at.
    pub network: EfficientNet,
    /// Pictures to learn from.
    pub train: Arc<Labelled>,
    /// Held-out pictures.
    pub valid: &'a Labelled,
}

/// Trains a network and leaves its configuration and weights in the run's folder.
///
/// # Errors
/// As [`fit`], and when the disk fails.
pub fn train_model(
    request: TrainRequest<'_>,
    run: &RunFolder,
    devices: &[Device],
    progress: Progress,
) -> Result<(Model, History), Error> {
    let tensorboard = request.config.record.as_ref().is_some_and(|record| record.training.tensorboard);
    let mut observer = RunObserver::new(run, progress, tensorboard)?;
    let (model, history) = fit(request, devices, &mut observer)?;
    drop(observer);
    model.write(run)?;
    Ok((model, history))
}

/// Trains a network on one device, or with each batch shared out to several; with `&mut ()` as the observer in memory.
///
/// # Errors
/// When the configuration makes no sense, the loss is no longer finite, or the observer ends it.
pub fn fit(
    request: TrainRequest<'_>,
    devices: &[Device],
    observer: &mut dyn Observer,
) -> Result<(Model, History), Error> {
    let config = request.config.clone();
    let missing = || Error::Request("training needs its configuration".into());
    let record = config.record.clone().ok_or_else(missing)?;
    record.validate()?;
    let settings = config.settings.clone().ok_or_else(missing)?;
    let training = record.training;
    let pictures = request.train.items.len();
    let steps = pictures.div_ceil(training.batch_size.max(1)) as u64;
    let mut learner = Classifier {
        network: record.begin(request.network),
        train: request.train,
        valid: request.valid,
        frozen_steps: settings.frozen_epochs * steps,
        settings,
        config: config.clone(),
        devices: devices.to_vec(),
        ahead: Ahead::new(),
        frozen: None,
    };
    let history = train(&mut learner, pictures, &training, observer)?;
    let model = Model::new(config, learner.network.evaluated(), &devices[0]);
    Ok((model, history))
}

struct Classifier<'a> {
    network: Trained<EfficientNet>,
    train: Arc<Labelled>,
    valid: &'a Labelled,
    settings: Settings,
    /// Steps in which only the classifier learns.
    frozen_steps: u64,
    config: Config,
    devices: Vec<Device>,
    /// The pictures of this step and the one to come.
    ahead: Ahead<Vec<f32>>,
    /// What gives the features while only the classifier learns.
    frozen: Option<Engine>,
}

/// What the network sees of pictures, one after the other: augmented by a seed, or as they are.
fn values(
    of: &Labelled,
    rows: &[usize],
    to: &Preprocessing,
    augmentation: Option<(&Augmentation, u64)>,
) -> Vec<f32> {
    let values = |row: &usize| {
        let picture = of.items[*row].picture();
        match augmentation {
            Some((augmentation, seed)) => {
                let own = seed ^ (*row as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                augmentation.values(&picture, to, &mut StdRng::seed_from_u64(own))
            }
            None => to.values(&to.square(&picture)),
        }
    };
    rows.par_iter().map(values).collect::<Vec<Vec<f32>>>().concat()
}

/// A parameter's share of the rate: the head and the classifier have the whole, and each block a part of that of the block after it.
fn rate_of(path: &[String], blocks: usize, decay: f64) -> f64 {
    let below = match path {
        [part, ..] if part == "stem" => blocks + 1,
        [part, number, ..] if part == "blocks" => blocks - number.parse().unwrap_or(0),
        _ => 0,
    };
    decay.powi(below as i32)
}

impl Classifier<'_> {
    /// Pictures as the network sees them: `[rows, 3, size, size]`.
    fn images(&self, values: Vec<f32>, device: &Device) -> Tensor<4> {
        let size = self.config.preprocessing.size;
        let count = values.len() / (3 * size * size);
        Tensor::from_data(TensorData::new(values, [count, 3, size, size]), device)
    }

    /// Classes as one of many: `[rows, classes]`.
    fn targets(&self, of: &Labelled, rows: &[usize], device: &Device) -> Tensor<2> {
        let classes = self.config.classes.len();
        let mut targets = vec![0.0_f32; rows.len() * classes];
        rows.iter().enumerate().for_each(|(at, row)| targets[at * classes + of.items[*row].class] = 1.0);
        Tensor::from_data(TensorData::new(targets, [rows.len(), classes]), device)
    }

    /// What gives the features of a step in which only the classifier learns.
    fn frozen(&mut self, step: u64) -> Option<&Engine> {
        if step > self.frozen_steps {
            self.frozen = None;
            return None;
        }
        Some(self.frozen.get_or_insert_with(|| Engine::new(self.network.module())))
    }
}

/// `-sum t ln p` of each picture, weighted by its class: `[pictures, 1]`.
fn cross_entropy(logits: Tensor<2>, targets: Tensor<2>, class_weights: Option<&[f32]>) -> Tensor<2> {
    let each = targets * log_softmax(logits).neg();
    match class_weights {
        Some(weights) => {
            let weights = Tensor::<1>::from_floats(weights, &each.device());
            (each * weights.unsqueeze()).sum_dim(1)
        }
        None => each.sum_dim(1),
    }
}

impl Learner for Classifier<'_> {
    fn step(&mut self, rows: &[usize], context: StepContext) -> Terms {
        let device = self.devices[0].clone().autodiff();
        let augmentation = self.config.augmentation.as_ref().map(|how| (how, context.seed));
        let make = || values(&self.train, rows, &self.config.preprocessing, augmentation);
        let values = self.ahead.take(context.seed, make);
        let mut x = self.images(values, &device);
        let mut targets = self.targets(&self.train, rows, &device);
        let mut rng = StdRng::seed_from_u64(context.seed);
        let Settings { label_smoothing, mixup, cutmix, .. } = self.settings;
        if cutmix > 0.0 && rng.random_bool(cutmix) {
            (x, targets) = cut_mix(x, targets, &mut rng);
        } else if mixup > 0.0 {
            // Uniform shares: a beta distribution with both parameters one, held to `mixup` of the other picture.
            let share = 1.0 - mixup * rng.random::<f64>() * 0.5;
            (x, targets) = mix(x, targets, share);
        }
        let classes = self.config.classes.len() as f64;
        let smooth = targets * (1.0 - label_smoothing) + label_smoothing / classes;
        // Features that stay as they are need no share of their own.
        let features = self.frozen(context.step).map(|engine| engine.features(x.clone().inner()));
        let (blocks, decay) = (self.network.module().blocks.len(), self.settings.layer_decay);
        let rate = |path: &[String]| context.rate * rate_of(path, blocks, decay);
        let weights = self.settings.class_weights.as_deref();
        let value =
            self.network.descend_shares(&self.devices, rows.len(), &rate, |network, share, device| {
                let logits = if let Some(features) = &features {
                    let own = features.clone().slice_dim(0, share.clone()).to_device(&device.clone().inner());
                    network.classifier.forward(Tensor::from_inner(own))
                } else {
                    let own = x.clone().slice_dim(0, share.clone()).to_device(device);
                    network.forward(own, Some(context.seed ^ share.start as u64))
                };
                let targets = smooth.clone().slice_dim(0, share).to_device(device);
                cross_entropy(logits, targets, weights).mean()
            });
        vec![("loss", value)]
    }

    fn upcoming(&mut self, rows: &[usize], seed: u64) {
        let (pictures, rows) = (Arc::clone(&self.train), rows.to_vec());
        let (to, augmentation) = (self.config.preprocessing, self.config.augmentation);
        let make = move || values(&pictures, &rows, &to, augmentation.as_ref().map(|how| (how, seed)));
        self.ahead.begin(seed, make);
    }

    fn validate(&mut self) -> Terms {
        if self.valid.items.is_empty() {
            return Vec::new();
        }
        let engine = Engine::new(&self.network.evaluated());
        let rows: Vec<usize> = (0..self.valid.items.len()).collect();
        let (mut loss, mut right) = (0.0, 0.0);
        for rows in rows.chunks(64) {
            let values = values(self.valid, rows, &self.config.preprocessing, None);
            let targets = self.targets(self.valid, rows, &self.devices[0]);
            let logits = engine.logits(self.images(values, &self.devices[0]));
            let best = logits.clone().argmax(1);
            right += f64::from(targets.clone().gather(1, best).sum().into_scalar::<f32>());
            let each = targets * log_softmax(logits).neg();
            loss += f64::from(each.sum().into_scalar::<f32>());
        }
        let count = rows.len() as f64;
        vec![("valid_log_loss", loss / count), ("valid_top1", right / count)]
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
        self.devices[0].clone()
    }
}
