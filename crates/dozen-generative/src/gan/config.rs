//! What a generative adversarial network is made of.

use dozen_data::{Fingerprint, ImageShape, Schema};
use dozen_nn::{Error, OptimizerConfig, TrainingRecord, dense_weights};
use serde::{Deserialize, Serialize};

use super::Columns;

/// Generator and discriminator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum NetworkConfig {
    /// Layers of units.
    Mlp {
        /// Units of each hidden layer of the generator.
        generator: Vec<usize>,
        /// Units of each hidden layer of the discriminator.
        critic: Vec<usize>,
    },
    /// Convolutions (Radford et al. 2016).
    Convolutional {
        /// Of the images.
        shape: ImageShape,
        /// Channels of the generator from the coarsest scale, each scale with twice the sides of the one before.
        generator: Vec<usize>,
        /// Channels of the discriminator's convolutions; all but the last halve the sides.
        critic: Vec<usize>,
        /// How the generator doubles sides.
        upsampling: Upsampling,
        /// Blocks of two convolutions and a way past them instead of single convolutions.
        residual: bool,
    },
}

/// How a generator doubles the sides of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Upsampling {
    /// Each pixel becomes four, and then a 3x3 convolution.
    Nearest,
    /// A transposed 4x4 convolution.
    Transposed,
}

/// What both sides make small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The generator makes `ln(1 - D)` small (Goodfellow et al. 2014, eq. 1).
    Minimax,
    /// The generator makes `-ln D` small (section 3).
    NonSaturating,
    /// Squares of the distance from 1 and 0 (Mao et al. 2017, eq. 9).
    LeastSquares,
    /// `max(0, 1 - f)` and `max(0, 1 + f)` (Lim and Ye 2017).
    Hinge,
    /// `E f(x) - E f(G(z))`, with f held to slopes of one (Arjovsky et al. 2017, eq. 3).
    Wasserstein,
}

/// What holds the slopes of the critic.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Lipschitz {
    /// Nothing.
    None,
    /// Every weight stays within a bound (Arjovsky et al. 2017).
    Clip {
        /// On each weight.
        bound: f64,
    },
    /// `weight E[(|grad f| - 1)^2]` between data and samples (Gulrajani et al. 2017, eq. 3).
    GradientPenalty {
        /// Lambda.
        weight: f64,
    },
    /// Each weight over its greatest singular value (Miyato et al. 2018), so that no slope exceeds one; and the value times a
    /// number, so that none exceeds that.
    Spectral {
        /// The greatest slope.
        #[serde(default = "one")]
        slope: f64,
    },
    /// `weight / 2 E[|grad f|^2]` at the data (Mescheder et al. 2018, eq. 9).
    R1 {
        /// Gamma.
        weight: f64,
    },
}

/// The slope of models that were written before it could be chosen.
fn one() -> f64 {
    1.0
}

impl Lipschitz {
    /// Whether it needs the critic's gradient by its input.
    pub fn is_penalty(self) -> bool {
        matches!(self, Self::GradientPenalty { .. } | Self::R1 { .. })
    }
}

/// The hyper-parameters of a generative adversarial network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GanConfig {
    /// Both networks.
    pub network: NetworkConfig,
    /// Columns of the noise.
    pub noise: usize,
    /// What both sides make small.
    pub loss: Loss,
    /// What holds the critic's slopes.
    pub lipschitz: Lipschitz,
    /// Steps of the critic for each of the generator.
    pub critic_steps: usize,
    /// Batch normalisation in the generator.
    pub batch_norm: bool,
    /// Batch normalisation in the critic.
    pub critic_batch_norm: bool,
    /// Share of units dropped in the critic.
    pub dropout: f64,
    /// What data is labelled less than 1 (Salimans et al. 2016, section 3.4).
    pub label_smoothing: f64,
    /// Features that tell how alike the rows of a batch are (Salimans et al. 2016, section 3.2); 0 for none.
    pub minibatch_features: usize,
    /// The generator's learning rate over the critic's.
    pub generator_rate: f64,
    /// Steps of the critic that the generator looks ahead.
    #[serde(default)]
    pub unrolled: usize,
    /// Steps of the generator in an epoch: between looks at how it goes.
    pub steps_per_epoch: usize,
}

/// Everything in a model's `config.json` beside the format and the family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// The networks and how they play.
    pub model: GanConfig,
    /// The columns that are modelled.
    pub columns: Schema,
    /// How they reach the networks.
    pub layout: Columns,
    /// The columns that the model is conditional on.
    pub condition: Schema,
    /// The shape, where the columns are the pixels of an image.
    pub image: Option<ImageShape>,
    /// How it was trained.
    #[serde(flatten)]
    pub record: TrainingRecord,
    /// The files that it was trained on.
    pub data: Vec<Fingerprint>,
}

/// Scales of a convolutional network.
const MOST_SCALES: usize = 16;

impl GanConfig {
    /// One step each, from noise of 100 columns, with nothing but these.
    pub fn plain(network: NetworkConfig, loss: Loss, lipschitz: Lipschitz) -> Self {
        Self {
            network,
            noise: 100,
            loss,
            lipschitz,
            critic_steps: 1,
            batch_norm: false,
            critic_batch_norm: false,
            dropout: 0.0,
            label_smoothing: 0.0,
            minibatch_features: 0,
            generator_rate: 1.0,
            unrolled: 0,
            steps_per_epoch: 1,
        }
    }

    /// At most as many numbers as such a generator and its critic of rows of so many values have.
    pub(super) fn least_parameters(&self, width: usize) -> f64 {
        let (networks, features) = match &self.network {
            NetworkConfig::Mlp { generator, critic } => {
                let generator = dense_weights(&[&[self.noise], &generator[..], &[width]].concat());
                let features = critic.last().unwrap_or(&width);
                (generator + dense_weights(&[&[width], &critic[..]].concat()), *features as f64)
            }
            NetworkConfig::Convolutional { shape, generator, critic, .. } => {
                let coarse = |side: usize, scales: usize| (side >> (scales - 1)) as f64;
                let flat = |channels: &[usize]| {
                    let last = |side| coarse(side, channels.len());
                    last(shape.height) * last(shape.width)
                };
                let first = self.noise as f64 * generator[0] as f64 * flat(generator);
                let features = critic[critic.len() - 1] as f64 * flat(critic);
                (first + dense_weights(generator) + dense_weights(critic) + features, features)
            }
        };
        networks + features * self.minibatch_features as f64
    }

    /// Checks what the types cannot.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |problem: String| Err(Error::Setting(problem));
        let units = match &self.network {
            NetworkConfig::Mlp { generator, critic }
            | NetworkConfig::Convolutional { generator, critic, .. } => [&generator[..], critic].concat(),
        };
        if self.noise == 0 || units.contains(&0) || self.critic_steps == 0 || self.steps_per_epoch == 0 {
            return refuse("noise, layers and steps of the critic need at least one each".into());
        }
        if let NetworkConfig::Convolutional { shape, generator, critic, .. } = &self.network {
            if generator.is_empty() || critic.is_empty() {
                return refuse("convolutional networks need `channels` and `critic_channels`".into());
            }
            if generator.len().max(critic.len()) > MOST_SCALES {
                return refuse(format!(
                    "images are halved at most {} times; give fewer channels",
                    MOST_SCALES - 1
                ));
            }
            let step = 1 << (generator.len() - 1);
            if !shape.height.is_multiple_of(step) || !shape.width.is_multiple_of(step) {
                return refuse(format!(
                    "sides of {shape} are no multiples of {step}, which {} scales need; give fewer `channels`",
                    generator.len()
                ));
            }
        }
        if self.lipschitz.is_penalty() && (self.critic_batch_norm || self.minibatch_features > 0) {
            return refuse(
                "a penalty on the critic's gradient is about each row alone: leave `critic_batch_norm` and `minibatch_features` out".into(),
            );
        }
        if self.lipschitz.is_penalty() && self.dropout > 0.0 {
            return refuse("dropout changes the critic between its value and its gradient; leave `dropout` out with a penalty".into());
        }
        let positive = match self.lipschitz {
            Lipschitz::Clip { bound } => bound,
            Lipschitz::GradientPenalty { weight } | Lipschitz::R1 { weight } => weight,
            Lipschitz::Spectral { slope } => slope,
            Lipschitz::None => 1.0,
        };
        if !(positive > 0.0 && positive.is_finite()) {
            return refuse(format!("`clip`, `penalty` and `slope` must be above 0, not {positive}"));
        }
        if !(0.0..0.5).contains(&self.label_smoothing) {
            return refuse(format!("`label_smoothing` must lie in [0, 0.5), not {}", self.label_smoothing));
        }
        if self.label_smoothing > 0.0 && !matches!(self.loss, Loss::Minimax | Loss::NonSaturating) {
            return refuse(
                "`label_smoothing` is for the losses with labels: minimax and non-saturating".into(),
            );
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return refuse(format!("`dropout` must lie in [0, 1), not {}", self.dropout));
        }
        if !(self.generator_rate > 0.0 && self.generator_rate.is_finite()) {
            return refuse("`generator_rate` must be a positive number".into());
        }
        Ok(())
    }
}

impl Saved {
    /// Checks what the types cannot.
    pub(super) fn validate(&self) -> Result<(), Error> {
        self.model.validate()?;
        let model = &self.model;
        let plain = model.loss == Loss::Minimax
            && matches!(model.network, NetworkConfig::Mlp { .. })
            && model.lipschitz == Lipschitz::None
            && !model.critic_batch_norm
            && model.minibatch_features == 0
            && model.dropout + model.label_smoothing == 0.0
            && matches!(self.record.optimizer, OptimizerConfig::Adam { weight_decay: 0.0, .. })
            && self.record.clip_norm.is_none()
            && self.condition.columns.is_empty();
        if model.unrolled == 0 || plain {
            return Ok(());
        }
        Err(Error::Setting(
            "`unrolled` writes out Adam's steps of a critic of plain layers in the minimax game: it goes with `loss` minimax and `network` mlp, without a \
             condition, `optimizer`, `lipschitz`, `clip_norm`, `critic_batch_norm`, `minibatch_features`, `dropout` and `label_smoothing`"
                .into(),
        ))
    }
}
