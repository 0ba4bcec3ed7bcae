//! Training: cross-entropy of augmented pictures.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use dozen_kernels::log_softmax;
use dozen_nn::{
    Error, History, Learner, ModelFolder, Optimizer, OptimizerConfig, Progress, RunFolder, StepContext,
    Terms, Trained, train,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;

use super::{Config, EfficientNet, Engine, FAMILY, Model};
use crate::labelled::Labelled;
use crate::picture::{Augmentation, mix};

/// Everything that training needs.
pub struct TrainRequest<'a> {
    /// The configuration, with training and augmentation.
    pub config: Config,
    /// The network to begin at.
    pub network: EfficientNet,
    /// Pictures to learn from.
    pub train: &'a Labelled,
    /// Held-out pictures.
    pub valid: &'a Labelled,
    /// The rule of the steps.
    pub optimizer: OptimizerConfig,
    /// Bound on the norm of the gradient.
    pub clip_norm: Option<f64>,
    /// Decay of the moving average of weights.
    pub ema: Option<f64>,
    /// What the other classes share of a target (Szegedy et al. 2016).
    pub label_smoothing: f64,
    /// How much mixed pictures are mixed; 0 for not at all.
    pub mixup: f64,
    /// The weight of each class in the loss.
    pub class_weights: Option<Vec<f32>>,
}

/// Trains a network and leaves its configuration and weights in the run's folder.
pub fn train_model(
    request: TrainRequest<'_>,
    run: &RunFolder,
    device: &Device,
    progress: Progress,
) -> Result<(Model, History), Error> {
    let config = request.config.clone();
    let training =
        config.training.ok_or_else(|| Error::Request("training needs its configuration".into()))?;
    let mut learner = Classifier {
        network: Trained::new(
            request.network,
            Optimizer::new(request.optimizer, request.clip_norm),
            request.ema,
        ),
        train: request.train,
        valid: request.valid,
        label_smoothing: request.label_smoothing,
        mixup: request.mixup,
        class_weights: request.class_weights,
        config: config.clone(),
        device: device.clone(),
    };
    let history = train(&mut learner, request.train.items.len(), &training, run, progress)?;
    ModelFolder::write_config(run, FAMILY, &config)?;
    learner.network.save(run.path(), "model", false)?;
    let model = Model::new(config, learner.network.evaluated(), device);
    Ok((model, history))
}

struct Classifier<'a> {
    network: Trained<EfficientNet>,
    train: &'a Labelled,
    valid: &'a Labelled,
    label_smoothing: f64,
    mixup: f64,
    class_weights: Option<Vec<f32>>,
    config: Config,
    device: Device,
}

impl Classifier<'_> {
    /// Pictures as the network sees them, and their classes as one of many.
    fn batch(
        &self,
        of: &Labelled,
        rows: &[usize],
        augmentation: Option<&Augmentation>,
        seed: u64,
        device: &Device,
    ) -> (Tensor<4>, Tensor<2>) {
        let to = &self.config.preprocessing;
        let values = |row: &usize| {
            let picture = of.items[*row].picture();
            match augmentation {
                Some(augmentation) => {
                    let own = seed ^ (*row as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                    augmentation.values(&picture, to, &mut StdRng::seed_from_u64(own))
                }
                None => to.values(&to.square(&picture)),
            }
        };
        let values: Vec<Vec<f32>> = rows.par_iter().map(values).collect();
        let classes = self.config.classes.len();
        let mut targets = vec![0.0_f32; rows.len() * classes];
        rows.iter().enumerate().for_each(|(at, row)| targets[at * classes + of.items[*row].class] = 1.0);
        let shape = [rows.len(), 3, to.size, to.size];
        (
            Tensor::from_data(TensorData::new(values.concat(), shape), device),
            Tensor::from_data(TensorData::new(targets, [rows.len(), classes]), device),
        )
    }

    /// `-sum t ln p` of each picture, weighted by its class: `[pictures, 1]`.
    fn cross_entropy(&self, logits: Tensor<2>, targets: Tensor<2>) -> Tensor<2> {
        let each = targets.clone() * log_softmax(logits).neg();
        match &self.class_weights {
            Some(weights) => {
                let weights = Tensor::<1>::from_floats(weights.as_slice(), &each.device());
                (each * weights.unsqueeze()).sum_dim(1)
            }
            None => each.sum_dim(1),
        }
    }
}

impl Learner for Classifier<'_> {
    fn step(&mut self, rows: &[usize], context: StepContext) -> Terms {
        let device = self.device.clone().autodiff();
        device.seed(context.seed);
        let augmentation = self.config.augmentation;
        let (mut x, mut targets) = self.batch(self.train, rows, augmentation.as_ref(), context.seed, &device);
        if self.mixup > 0.0 {
            // Uniform shares: a beta distribution with both parameters one, held to `mixup` of the other picture.
            let mut rng = StdRng::seed_from_u64(context.seed);
            let share = 1.0 - self.mixup * rng.random::<f64>() * 0.5;
            (x, targets) = mix(x, targets, share);
        }
        let classes = self.config.classes.len() as f64;
        let smooth = targets * (1.0 - self.label_smoothing) + self.label_smoothing / classes;
        let logits = self.network.module().forward(x, Some(context.seed));
        let loss = self.cross_entropy(logits, smooth).mean();
        let value = f64::from(loss.clone().into_scalar::<f32>());
        if value.is_finite() {
            self.network.descend(&loss, context.rate);
        }
        vec![("loss", value)]
    }

    fn validate(&mut self) -> Terms {
        if self.valid.items.is_empty() {
            return Vec::new();
        }
        let engine = Engine::new(&self.network.evaluated());
        let rows: Vec<usize> = (0..self.valid.items.len()).collect();
        let (mut loss, mut right) = (0.0, 0.0);
        for rows in rows.chunks(64) {
            let (x, targets) = self.batch(self.valid, rows, None, 0, &self.device);
            let logits = engine.logits(x);
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

    fn device(&self) -> Device {
        self.device.clone()
    }
}
