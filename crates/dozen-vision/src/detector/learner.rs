//! Training: the losses of both stages of pictures that are mirrored and brought to several sizes.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use dozen_nn::{
    Error, History, Learner, Observer, Progress, RunFolder, RunObserver, StepContext, Terms, Trained, train,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;

use super::config::{Learning, Settings};
use super::input::{Input, Seen, batch};
use super::network::{Detector, Look};
use super::truths::Truths;
use super::{Config, Model, Sides, evaluate};
use crate::ahead::Ahead;
use crate::detection::Pictured;

/// Everything that training needs.
pub struct TrainRequest<'a> {
    /// The configuration, with training and settings.
    pub config: Config,
    /// The network to begin at.
    pub network: Detector,
    /// Pictures to learn from.
    pub train: Arc<Pictured>,
    /// Held-out pictures.
    pub valid: &'a Pictured,
}

/// Trains a network and leaves its configuration and weights in the run's folder.
///
/// # Errors
/// As [`fit`], and when the disk fails.
pub fn train_model(
    request: TrainRequest<'_>,
    run: &RunFolder,
    device: &Device,
    progress: Progress,
) -> Result<(Model, History), Error> {
    let tensorboard = request.config.record.as_ref().is_some_and(|record| record.training.tensorboard);
    let mut observer = RunObserver::new(run, progress, tensorboard)?;
    let (model, history) = fit(request, device, &mut observer)?;
    drop(observer);
    model.write(run)?;
    Ok((model, history))
}

/// Trains a network; with `&mut ()` as the observer in memory.
///
/// # Errors
/// When the configuration makes no sense, the loss is no longer finite, or the observer ends it.
pub fn fit(
    request: TrainRequest<'_>,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<(Model, History), Error> {
    let config = request.config.clone();
    let missing = || Error::Request("training needs its configuration".into());
    let record = config.record.clone().ok_or_else(missing)?;
    record.validate()?;
    let training = record.training;
    let settings = config.settings.clone().ok_or_else(missing)?;
    let pictures = request.train.len();
    let steps = training.epochs * pictures.div_ceil(training.batch_size.max(1)) as u64;
    let mut learner = BoxLearner {
        network: record.begin(request.network),
        train: request.train,
        valid: request.valid,
        quarter: steps.div_ceil(4).max(1),
        settings,
        config: config.clone(),
        device: device.clone(),
        ahead: Ahead::new(),
    };
    let history = train(&mut learner, pictures, &training, observer)?;
    let model = Model::new(config, learner.network.evaluated(), device);
    Ok((model, history))
}

struct BoxLearner<'a> {
    network: Trained<Detector>,
    train: Arc<Pictured>,
    valid: &'a Pictured,
    settings: Settings,
    /// Steps of a quarter of training.
    quarter: u64,
    config: Config,
    device: Device,
    /// The pictures of this step and the one to come.
    ahead: Ahead<Vec<(Seen, Look, Truths)>>,
}

/// What the network sees of pictures, and what is to be found in them.
fn seen(
    of: &Pictured,
    rows: &[usize],
    input: Input,
    settings: &Settings,
    seed: u64,
) -> Vec<(Seen, Look, Truths)> {
    let one = |row: &usize| {
        let mut rng = StdRng::seed_from_u64(seed ^ (*row as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9));
        let (mut input, mut sides_learnt) = (input, Sides::ALL);
        if !settings.sizes.is_empty() {
            let size = rng.random_range(0..settings.sizes.len());
            let short = settings.sizes[size];
            input = Input { short, long: input.long * short / input.short.max(1), ..input };
            sides_learnt = settings.sides.get(size).copied().unwrap_or(Sides::ALL);
        }
        let picture = of.picture(*row);
        let sides = [picture.height, picture.width];
        let mut seen = input.see(&picture);
        let flipped = settings.flip && rng.random_bool(0.5);
        let width = seen.sides()[1];
        let mut truths = Truths::default();
        for annotation in of.boxes(*row) {
            let mut rect = seen.seen(annotation.rect, sides);
            if flipped {
                rect = [width - rect[2], rect[1], width - rect[0], rect[3]];
            }
            if annotation.crowd || annotation.difficult {
                truths.ignored.push(rect);
            } else {
                truths.boxes.push(rect);
                truths.categories.push(annotation.category);
            }
        }
        if flipped {
            seen.flip();
        }
        let look = Look { size: seen.sides(), sides: sides_learnt };
        (seen, look, truths)
    };
    rows.par_iter().map(one).collect()
}

impl BoxLearner<'_> {
    /// Which losses count in a step, and which parts stay as they are.
    fn quarter_of(&self, step: u64) -> Option<u64> {
        self.settings.alternating.then(|| ((step - 1) / self.quarter).min(3))
    }
}

impl Learner for BoxLearner<'_> {
    fn step(&mut self, rows: &[usize], context: StepContext) -> Terms {
        let device = self.device.clone().autodiff();
        let make = || seen(&self.train, rows, self.config.input, &self.settings, context.seed);
        let seen = self.ahead.take(context.seed, make);
        let (mut pictures, mut looks, mut truths) = (Vec::new(), Vec::new(), Vec::new());
        for (picture, look, own) in seen {
            pictures.push(picture);
            looks.push(look);
            truths.push(own);
        }
        let quarter = self.quarter_of(context.step);
        let learning = Learning { by_batch: self.settings.norms, frozen: self.settings.frozen };
        let mut rng = StdRng::seed_from_u64(context.seed);
        let x = batch(&pictures, &device);
        let losses = self.network.module().losses(x, &looks, &truths, learning, &mut rng);
        let [objectness, proposed] = losses.proposals;
        let [categories, detected] = losses.detections;
        let value = |loss: &burn::tensor::Tensor<1>| f64::from(loss.clone().into_scalar::<f32>());
        let terms = [&objectness, &proposed, &categories, &detected].map(value);
        let total: f64 = terms.iter().sum();
        if total.is_finite() {
            let (first, second) = (objectness + proposed, categories + detected);
            let loss = match quarter {
                Some(0 | 2) => first,
                Some(_) => second,
                None => first + second,
            };
            let norms = self.settings.norms;
            self.network.descend_each(&loss, &|path| {
                let part = path.first().map_or("", String::as_str);
                let of_backbone = part == "resnet" || part == "efficientnet";
                let kept = of_backbone
                    && (!norms && path.iter().any(|part| part == "norm")
                        || quarter.is_some_and(|quarter| quarter > 1));
                if kept { 0.0 } else { context.rate }
            });
        }
        vec![
            ("loss", total),
            ("objectness", terms[0]),
            ("proposal_boxes", terms[1]),
            ("categories", terms[2]),
            ("boxes", terms[3]),
        ]
    }

    fn upcoming(&mut self, rows: &[usize], seed: u64) {
        let (pictures, rows, input) = (Arc::clone(&self.train), rows.to_vec(), self.config.input);
        let settings = self.settings.clone();
        self.ahead.begin(seed, move || self::seen(&pictures, &rows, input, &settings, seed));
    }

    fn validate(&mut self) -> Terms {
        if self.valid.len() == 0 {
            return Vec::new();
        }
        let model = Model::new(self.config.clone(), self.network.evaluated(), &self.device);
        let found = evaluate(&model, self.valid, &[]);
        let [map, map50, ..] = found.precision.summary();
        vec![("missed", 1.0 - map.max(0.0)), ("map", map), ("map50", map50)]
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
