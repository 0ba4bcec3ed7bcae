//! The flags of both networks and of how they play.

use clap::{Args, ValueEnum};
use dozen::data::ImageShape;
use dozen::generative::gan::{GanConfig, Lipschitz, Loss, NetworkConfig, Numbers, Upsampling};
use dozen::nn::OptimizerConfig;

use crate::output::Failure;

/// Generator and discriminator.
#[derive(Args, Debug)]
#[command(next_help_heading = "Networks")]
pub(super) struct Shape {
    /// Both networks
    #[arg(long, value_enum, default_value_t = NetworkFlag::Mlp, value_name = "KIND")]
    network: NetworkFlag,
    /// Columns of the noise
    #[arg(long, default_value_t = 100, value_name = "N")]
    noise: usize,
    /// Units of each hidden layer of the generator, for mlp
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = [256, 512, 1024])]
    hidden: Vec<usize>,
    /// Units of each hidden layer of the discriminator, for mlp
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = [512, 256])]
    critic_hidden: Vec<usize>,
    /// Channels of the generator from the coarsest scale; each scale doubles the sides
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = [256, 128, 64])]
    channels: Vec<usize>,
    /// Channels of the discriminator's convolutions; all but the last halve the sides
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = [32, 64, 128, 256])]
    critic_channels: Vec<usize>,
    /// How a convolutional generator doubles sides
    #[arg(long, value_enum, default_value_t = Upsampling::Nearest, value_name = "HOW")]
    upsampling: Upsampling,
    /// Batch normalisation in the generator [default: for images]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    batch_norm: Option<bool>,
    /// Batch normalisation in the discriminator [default: in convolutional ones whose slopes nothing holds]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    critic_batch_norm: Option<bool>,
    /// Share of units dropped in the discriminator
    #[arg(long, default_value_t = 0.0, value_name = "P")]
    dropout: f64,
    /// Features that tell the discriminator how alike the rows of a batch are
    #[arg(long, default_value_t = 0, value_name = "N")]
    minibatch_features: usize,
    /// How numbers of a table reach the networks
    #[arg(long, value_enum, default_value_t = Numbers::Standard, value_name = "HOW")]
    pub(super) numbers: Numbers,
}

/// How they play.
#[derive(Args, Debug)]
#[command(next_help_heading = "Game")]
pub(super) struct Game {
    /// What both sides make small
    #[arg(long, value_enum, default_value_t = Loss::NonSaturating, value_name = "LOSS")]
    loss: Loss,
    /// What holds the discriminator's slopes [default: gradient-penalty for wasserstein, spectral for hinge, else none]
    #[arg(long, value_enum, value_name = "HOW")]
    lipschitz: Option<LipschitzFlag>,
    /// Bound on each weight, for clip
    #[arg(long, default_value_t = 0.01, value_name = "C")]
    clip: f64,
    /// Weight of the penalty [default: 10]
    #[arg(long, default_value_t = 10.0, value_name = "W")]
    penalty: f64,
    /// The greatest slope, for spectral, of data with deviations of one: the hinge is met only where data and samples lie two
    /// over this apart
    #[arg(long, default_value_t = 1.0, value_name = "K")]
    slope: f64,
    /// Steps of the discriminator for each of the generator [default: 5 for wasserstein, else 1]
    #[arg(long, value_name = "N")]
    critic_steps: Option<usize>,
    /// What data is labelled less than 1
    #[arg(long, default_value_t = 0.0, value_name = "S")]
    label_smoothing: f64,
    /// The generator's learning rate over the discriminator's
    #[arg(long, default_value_t = 1.0, value_name = "F")]
    generator_rate: f64,
    /// Steps of the discriminator that the generator looks ahead, for minimax with mlp
    #[arg(long, default_value_t = 0, value_name = "N")]
    unrolled: usize,
    /// The rule of the steps [default: rmsprop with clip, else adam]
    #[arg(long, value_enum, value_name = "RULE")]
    optimizer: Option<OptimizerFlag>,
    /// Decay of Adam's mean of gradients [default: 0 where slopes are held, else 0.5]
    #[arg(long, value_name = "B")]
    beta1: Option<f64>,
    /// Decay of Adam's mean of squared gradients [default: 0.9 where slopes are held, else 0.999]
    #[arg(long, value_name = "B")]
    beta2: Option<f64>,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq)]
enum NetworkFlag {
    /// Layers of units
    Mlp,
    /// Convolutions, for images
    Dcgan,
    /// Convolutions with ways past them, for images
    Residual,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum LipschitzFlag {
    /// Nothing
    None,
    /// Weights are clipped
    Clip,
    /// Slopes between data and samples are pulled to one
    GradientPenalty,
    /// Each weight over its greatest singular value
    Spectral,
    /// Slopes at data are kept small
    R1,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum OptimizerFlag {
    Sgd,
    Rmsprop,
    Adam,
}

impl Shape {
    pub(super) fn config(
        &self,
        game: &Game,
        image: Option<ImageShape>,
        steps_per_epoch: usize,
    ) -> Result<GanConfig, Failure> {
        let network = match (self.network, image) {
            (NetworkFlag::Mlp, _) => {
                NetworkConfig::Mlp { generator: self.hidden.clone(), critic: self.critic_hidden.clone() }
            }
            (_, None) => {
                return Err(Failure::request(
                    "convolutional networks are for images; say their --image shape",
                ));
            }
            (kind, Some(shape)) => NetworkConfig::Convolutional {
                shape,
                generator: self.channels.clone(),
                critic: self.critic_channels.clone(),
                upsampling: self.upsampling,
                residual: kind == NetworkFlag::Residual,
            },
        };
        let lipschitz = game.lipschitz();
        Ok(GanConfig {
            network,
            noise: self.noise,
            loss: game.loss,
            lipschitz,
            critic_steps: game.critic_steps.unwrap_or(if game.loss == Loss::Wasserstein { 5 } else { 1 }),
            batch_norm: self.batch_norm.unwrap_or(image.is_some()),
            critic_batch_norm: self
                .critic_batch_norm
                .unwrap_or(self.network == NetworkFlag::Dcgan && lipschitz == Lipschitz::None),
            dropout: self.dropout,
            label_smoothing: game.label_smoothing,
            minibatch_features: self.minibatch_features,
            generator_rate: game.generator_rate,
            unrolled: game.unrolled,
            steps_per_epoch,
        })
    }
}

impl Game {
    fn lipschitz(&self) -> Lipschitz {
        match (self.lipschitz, self.loss) {
            (Some(LipschitzFlag::Clip), _) => Lipschitz::Clip { bound: self.clip },
            (Some(LipschitzFlag::R1), _) => Lipschitz::R1 { weight: self.penalty },
            (Some(LipschitzFlag::GradientPenalty), _) | (None, Loss::Wasserstein) => {
                Lipschitz::GradientPenalty { weight: self.penalty }
            }
            (Some(LipschitzFlag::Spectral), _) | (None, Loss::Hinge) => {
                Lipschitz::Spectral { slope: self.slope }
            }
            (Some(LipschitzFlag::None) | None, _) => Lipschitz::None,
        }
    }

    /// The papers' rules: RMSProp at 5e-5 with clipping (Arjovsky et al. 2017), Adam at 1e-4 with 0 and 0.9 where slopes are held otherwise (Gulrajani et al.
    /// 2017), Adam at 2e-4 with 0.5 and 0.999 elsewhere (Radford et al. 2016).
    pub(super) fn optimizer(&self) -> Result<(OptimizerConfig, f64), Failure> {
        let (held, clipped) = match self.lipschitz() {
            Lipschitz::None => (false, false),
            Lipschitz::Clip { .. } => (true, true),
            _ => (true, false),
        };
        let (beta_1, beta_2) = if held { (0.0, 0.9) } else { (0.5, 0.999) };
        let (beta_1, beta_2) = (self.beta1.unwrap_or(beta_1), self.beta2.unwrap_or(beta_2));
        if ![beta_1, beta_2].iter().all(|beta| (0.0..1.0).contains(beta)) {
            return Err(Failure::request("--beta1 and --beta2 lie in [0, 1)"));
        }
        let rule = match (self.optimizer, clipped) {
            (Some(OptimizerFlag::Sgd), _) => OptimizerConfig::Sgd { momentum: beta_1 },
            (Some(OptimizerFlag::Rmsprop), _) | (None, true) => {
                OptimizerConfig::RmsProp { decay: 0.99, epsilon: 1e-8 }
            }
            _ => OptimizerConfig::Adam { beta_1, beta_2, epsilon: 1e-8, weight_decay: 0.0 },
        };
        let rate = match (clipped, held) {
            (true, _) => 5e-5,
            (false, true) => 1e-4,
            (false, false) => 2e-4,
        };
        Ok((rule, rate))
    }
}
