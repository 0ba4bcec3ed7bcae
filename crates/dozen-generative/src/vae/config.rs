//! What an autoencoder is made of.

use dozen_data::{Fingerprint, ImageShape, Schema};
use dozen_nn::{Error, TrainingRecord, dense_weights};
use serde::{Deserialize, Serialize};

/// The encoder, and the decoder as its mirror.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum NetworkConfig {
    /// Layers of ReLU units.
    Mlp {
        /// Units of each hidden layer of the encoder; the decoder's are these from last to first.
        hidden: Vec<usize>,
    },
    /// Convolutions that halve the sides of an image, and a layer of units.
    Convolutional {
        /// Of the images.
        shape: ImageShape,
        /// Channels of each convolution of the encoder.
        channels: Vec<usize>,
        /// Units of the layer after them.
        hidden: usize,
    },
}

/// The distribution of numbers given a latent; bits and categories have their own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Likelihood {
    /// `x ln p + (1 - x) ln (1 - p)` of values in [0, 1]: cross-entropy; a probability only of bits.
    Bernoulli,
    /// The same with what makes it a density on [0, 1] (Loaiza-Ganem and Cunningham 2019).
    ContinuousBernoulli,
    /// Normal, with the mean by the network.
    Gaussian {
        /// The deviation in standardised units; `None` learns one for each column.
        deviation: Option<f64>,
    },
    /// Normal, with mean and deviation by the network.
    GaussianNetwork,
}

/// What the encoder gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum LatentConfig {
    /// A distribution of the latent.
    Variational {
        /// Given a row.
        posterior: PosteriorConfig,
        /// Before any is seen.
        prior: PriorConfig,
    },
    /// A point: the degenerate case, an autoencoder.
    Deterministic,
    /// Numbers of codes (van den Oord et al. 2017).
    Quantized {
        /// In the book.
        codes: usize,
        /// Values of a code; the latent is cut into as many.
        width: usize,
        /// What keeps the encoder at its codes.
        commitment: f64,
    },
}

/// q(z | x).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum PosteriorConfig {
    /// Normal with independent columns.
    Diagonal,
    /// Normal with any covariance, by its Cholesky factor.
    Full,
    /// Independent normal columns, bent by planar steps (Rezende and Mohamed 2015).
    Planar {
        /// How many.
        steps: usize,
    },
    /// Independent normal columns through inverse autoregressive steps that see the row (Kingma et al. 2016).
    Iaf {
        /// How many.
        steps: usize,
        /// Units of each hidden layer of theirs.
        hidden: Vec<usize>,
    },
}

/// p(z).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum PriorConfig {
    /// Standard normal.
    Standard,
    /// Normal around a learnt mean of the row's class.
    ClassMeans,
    /// A mixture of learnt normals.
    Mixture {
        /// How many.
        parts: usize,
    },
    /// A mixture of the posteriors of learnt inputs (Tomczak and Welling 2018).
    Vamp {
        /// How many.
        parts: usize,
    },
}

/// What training makes small.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// Weight of the divergence from the prior (Higgins et al. 2017).
    pub beta: f64,
    /// Steps over which that weight rises from zero (Bowman et al. 2016).
    pub warm_up: u64,
    /// Nats of divergence in each latent column that cost nothing (Kingma et al. 2016).
    pub free_bits: f64,
    /// Draws of the importance-weighted bound (Burda et al. 2016); 1 is the evidence lower bound.
    pub importance: usize,
    /// Weight of the total correlation of the latent's columns (Chen et al. 2018); 1 is the evidence lower bound.
    pub total_correlation: f64,
    /// Each second draw is the mirror image of the one before it.
    pub antithetic: bool,
}

impl Default for Objective {
    fn default() -> Self {
        Self {
            beta: 1.0,
            warm_up: 0,
            free_bits: 0.0,
            importance: 1,
            total_correlation: 1.0,
            antithetic: false,
        }
    }
}

/// The hyper-parameters of an autoencoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaeConfig {
    /// Encoder and decoder.
    pub network: NetworkConfig,
    /// Columns of the latent.
    pub latent: usize,
    /// What the encoder gives.
    pub kind: LatentConfig,
    /// Of numbers.
    pub likelihood: Likelihood,
    /// Whether encoder and decoder see the condition, too; class means do not need that.
    pub condition_networks: bool,
    /// What training makes small.
    pub objective: Objective,
}

/// Everything in a model's `config.json` beside the format and the family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// The autoencoder.
    pub model: VaeConfig,
    /// The columns that are modelled.
    pub columns: Schema,
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

impl VaeConfig {
    /// At most as many numbers as such an autoencoder of rows of so many columns has.
    pub(super) fn least_parameters(&self, columns: usize) -> f64 {
        let latent = self.latent;
        let (each, last) = match &self.network {
            NetworkConfig::Mlp { hidden } => (
                dense_weights(&[&[columns], &hidden[..], &[latent]].concat()),
                hidden.last().unwrap_or(&columns),
            ),
            NetworkConfig::Convolutional { shape, channels, hidden } => {
                let halved = |side: usize| side >> channels.len();
                let coarse = dense_weights(&[halved(shape.height), halved(shape.width)]);
                let flat = *channels.last().unwrap_or(&shape.channels) as f64 * coarse;
                let dense = *hidden as f64 * (flat + latent as f64);
                (dense_weights(channels) + dense, hidden)
            }
        };
        let own = match &self.kind {
            LatentConfig::Deterministic => 0.0,
            LatentConfig::Quantized { codes, width, .. } => dense_weights(&[*codes, *width]),
            LatentConfig::Variational { posterior, prior } => {
                let posterior = match posterior {
                    PosteriorConfig::Diagonal => 0.0,
                    // A covariance is of the encoder's last layer.
                    PosteriorConfig::Full => *last as f64 * dense_weights(&[latent, latent]) / 4.0,
                    PosteriorConfig::Planar { steps } => dense_weights(&[*steps, latent]),
                    PosteriorConfig::Iaf { steps, hidden } => {
                        *steps as f64 * dense_weights(&[&[latent], &hidden[..], &[latent]].concat())
                    }
                };
                let prior = match prior {
                    PriorConfig::Standard | PriorConfig::ClassMeans => 0.0,
                    PriorConfig::Mixture { parts } => dense_weights(&[*parts, latent]),
                    PriorConfig::Vamp { parts } => dense_weights(&[*parts, columns]),
                };
                posterior + prior
            }
        };
        2.0 * each + own
    }

    /// Checks what the types cannot.
    pub fn validate(&self, condition: usize) -> Result<(), Error> {
        let refuse = |problem: String| Err(Error::Setting(problem));
        let Objective { beta, free_bits, importance, total_correlation, .. } = self.objective;
        let units = match &self.network {
            NetworkConfig::Mlp { hidden } => hidden.clone(),
            NetworkConfig::Convolutional { channels, hidden, .. } => [&channels[..], &[*hidden]].concat(),
        };
        if self.latent == 0 || units.contains(&0) || importance == 0 {
            return refuse("the latent, hidden layers and importance draws need at least one each".into());
        }
        if let NetworkConfig::Convolutional { shape, channels, .. } = &self.network
            && shape.height.min(shape.width).checked_shr(channels.len() as u32).unwrap_or(0) == 0
        {
            return refuse(format!(
                "images of {shape} cannot be halved {} times; give fewer `channels`",
                channels.len()
            ));
        }
        if [beta, free_bits, total_correlation].iter().any(|value| !value.is_finite() || *value < 0.0) {
            return refuse("`beta`, `free_bits` and `total_correlation` are at least 0".into());
        }
        if let Likelihood::Gaussian { deviation: Some(deviation) } = self.likelihood
            && !(deviation > 0.0 && deviation.is_finite())
        {
            return refuse(format!("`deviation` must be above 0, not {deviation}"));
        }
        let plain = importance == 1 && total_correlation == 1.0 && free_bits == 0.0;
        match &self.kind {
            LatentConfig::Variational { posterior, prior } => {
                if *prior == PriorConfig::ClassMeans && condition == 0 {
                    return refuse("class means need the classes: `labels` or `condition`".into());
                }
                if matches!(prior, PriorConfig::Mixture { parts: 0 } | PriorConfig::Vamp { parts: 0 }) {
                    return refuse("`parts` must be at least 1".into());
                }
                let analytic = matches!(posterior, PosteriorConfig::Diagonal)
                    && matches!(prior, PriorConfig::Standard | PriorConfig::ClassMeans);
                if free_bits > 0.0 && !analytic {
                    return refuse("`free_bits` needs a divergence by column: a diagonal posterior and a standard or class prior".into());
                }
                if total_correlation != 1.0
                    && (!matches!(posterior, PosteriorConfig::Diagonal) || importance > 1)
                {
                    return refuse("`total_correlation` needs a diagonal posterior and one draw".into());
                }
                if matches!(prior, PriorConfig::Vamp { .. }) && self.condition_networks {
                    return refuse("a VampPrior's inputs have no condition; take `conditional` means".into());
                }
                if matches!(prior, PriorConfig::Vamp { .. })
                    && !matches!(posterior, PosteriorConfig::Diagonal)
                {
                    return refuse(
                        "a VampPrior is made of diagonal posteriors; leave `posterior` as it is".into(),
                    );
                }
                Ok(())
            }
            LatentConfig::Deterministic if !plain => {
                refuse("an autoencoder has no divergence; leave the flags of the objective out".into())
            }
            LatentConfig::Quantized { .. } if !plain => {
                refuse("codes have a constant divergence; leave the flags of the objective out".into())
            }
            LatentConfig::Quantized { codes, width, .. }
                if *codes < 2 || *width == 0 || !self.latent.is_multiple_of((*width).max(1)) =>
            {
                refuse(format!(
                    "{codes} codes of {width} values do not make a latent of {}; at least 2, and a width that divides it",
                    self.latent
                ))
            }
            _ => Ok(()),
        }
    }
}
