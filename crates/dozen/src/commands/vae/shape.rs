//! The flags of an autoencoder's shape and objective.

use clap::{Args, ValueEnum};
use dozen::data::ImageShape;
use dozen::generative::vae::{
    LatentConfig, Likelihood, NetworkConfig, Objective, PosteriorConfig, PriorConfig, VaeConfig,
};

use crate::output::Failure;

/// Networks and distributions.
#[derive(Args, Debug)]
#[command(next_help_heading = "Autoencoder")]
pub(super) struct Shape {
    /// Columns of the latent
    #[arg(long, default_value_t = 10, value_name = "N")]
    latent: usize,
    /// Encoder and decoder
    #[arg(long, value_enum, default_value_t = NetworkFlag::Mlp, value_name = "KIND")]
    network: NetworkFlag,
    /// Units of each hidden layer of the encoder, in the decoder from last to first; of convolutional networks of the one after the convolutions
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = [256])]
    hidden: Vec<usize>,
    /// Channels of each convolution, which halves the sides
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = [32, 64])]
    channels: Vec<usize>,
    /// Of numbers given a latent; bits and categories have their own [default: bernoulli for images, gaussian for tables]
    #[arg(long, value_enum, value_name = "KIND")]
    likelihood: Option<LikelihoodFlag>,
    /// A fixed deviation of gaussian, in standardised units [default: learnt, one for each column]
    #[arg(long, value_name = "S")]
    deviation: Option<f64>,
    /// What the encoder gives
    #[arg(long, value_enum, default_value_t = PosteriorFlag::Diagonal, value_name = "KIND")]
    posterior: PosteriorFlag,
    /// Steps that bend a planar or iaf posterior
    #[arg(long, default_value_t = 4, value_name = "N")]
    posterior_steps: usize,
    /// What the latent is before a row is seen
    #[arg(long, value_enum, default_value_t = PriorFlag::Standard, value_name = "KIND")]
    prior: PriorFlag,
    /// Parts of a mixture or vamp prior
    #[arg(long, default_value_t = 50, value_name = "N")]
    parts: usize,
    /// No posterior and no prior: an autoencoder
    #[arg(long, conflicts_with = "codes")]
    deterministic: bool,
    /// Codes instead of a distribution (VQ-VAE)
    #[arg(long, value_name = "N")]
    codes: Option<usize>,
    /// Values of a code; the latent is cut into as many
    #[arg(long, default_value_t = 2, value_name = "N", requires = "codes")]
    code_width: usize,
    /// What keeps the encoder at its codes
    #[arg(long, default_value_t = 0.25, value_name = "W", requires = "codes")]
    commitment: f64,
}

/// What training makes small.
#[derive(Args, Debug)]
#[command(next_help_heading = "Objective")]
pub(super) struct ObjectiveFlags {
    /// Weight of the divergence from the prior
    #[arg(long, default_value_t = 1.0, value_name = "W")]
    beta: f64,
    /// Steps over which that weight rises from zero
    #[arg(long, default_value_t = 0, value_name = "STEPS")]
    kl_warm_up: u64,
    /// Nats of divergence in each latent column that cost nothing
    #[arg(long, default_value_t = 0.0, value_name = "NATS")]
    free_bits: f64,
    /// Draws of the importance-weighted bound to train on (IWAE); 1 is the evidence lower bound
    #[arg(long, default_value_t = 1, value_name = "K")]
    importance_draws: usize,
    /// Weight of the total correlation of the latent's columns (beta-TC)
    #[arg(long, default_value_t = 1.0, value_name = "W")]
    total_correlation: f64,
    /// Draw in pairs that mirror each other
    #[arg(long)]
    antithetic: bool,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq)]
enum NetworkFlag {
    /// Layers of ReLU units
    Mlp,
    /// Convolutions, for images
    Convolutional,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum LikelihoodFlag {
    /// Cross-entropy of values in [0, 1]; a probability of bits
    Bernoulli,
    /// A density on [0, 1]
    ContinuousBernoulli,
    /// Normal, with the mean by the network
    Gaussian,
    /// Normal, with mean and deviation by the network
    GaussianNetwork,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum PosteriorFlag {
    /// Normal with independent columns
    Diagonal,
    /// Normal with any covariance
    Full,
    /// Bent by planar steps
    Planar,
    /// Bent by inverse autoregressive steps that see the row
    Iaf,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum PriorFlag {
    /// Standard normal
    Standard,
    /// A mixture of learnt normals
    Mixture,
    /// A mixture of the posteriors of learnt inputs
    Vamp,
}

/// What the condition reaches.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq)]
pub(super) enum Conditional {
    /// The prior, by a learnt mean of each class
    Means,
    /// Encoder and decoder
    Networks,
}

impl Shape {
    pub(super) fn config(
        &self,
        objective: &ObjectiveFlags,
        image: Option<ImageShape>,
        conditional: Option<Conditional>,
    ) -> Result<VaeConfig, Failure> {
        let network = match (self.network, image) {
            (NetworkFlag::Mlp, _) => NetworkConfig::Mlp { hidden: self.hidden.clone() },
            (NetworkFlag::Convolutional, Some(shape)) => NetworkConfig::Convolutional {
                shape,
                channels: self.channels.clone(),
                hidden: self.hidden.first().copied().unwrap_or(256),
            },
            (NetworkFlag::Convolutional, None) => {
                return Err(Failure::request(
                    "convolutional networks are for images; say their --image shape",
                ));
            }
        };
        let kind = match (self.deterministic, self.codes) {
            (true, _) => LatentConfig::Deterministic,
            (false, Some(codes)) => {
                LatentConfig::Quantized { codes, width: self.code_width, commitment: self.commitment }
            }
            (false, None) => LatentConfig::Variational {
                posterior: match self.posterior {
                    PosteriorFlag::Diagonal => PosteriorConfig::Diagonal,
                    PosteriorFlag::Full => PosteriorConfig::Full,
                    PosteriorFlag::Planar => PosteriorConfig::Planar { steps: self.posterior_steps },
                    PosteriorFlag::Iaf => PosteriorConfig::Iaf {
                        steps: self.posterior_steps,
                        hidden: vec![self.hidden.first().copied().unwrap_or(64)],
                    },
                },
                prior: match (self.prior, conditional) {
                    (PriorFlag::Standard, Some(Conditional::Means)) => PriorConfig::ClassMeans,
                    (PriorFlag::Standard, _) => PriorConfig::Standard,
                    (PriorFlag::Mixture, _) => PriorConfig::Mixture { parts: self.parts },
                    (PriorFlag::Vamp, _) => PriorConfig::Vamp { parts: self.parts },
                },
            },
        };
        let of_numbers = if image.is_some() { LikelihoodFlag::Bernoulli } else { LikelihoodFlag::Gaussian };
        let likelihood = match self.likelihood.unwrap_or(of_numbers) {
            LikelihoodFlag::Bernoulli => Likelihood::Bernoulli,
            LikelihoodFlag::ContinuousBernoulli => Likelihood::ContinuousBernoulli,
            LikelihoodFlag::Gaussian => Likelihood::Gaussian { deviation: self.deviation },
            LikelihoodFlag::GaussianNetwork => Likelihood::GaussianNetwork,
        };
        Ok(VaeConfig {
            network,
            latent: self.latent,
            kind,
            likelihood,
            condition_networks: conditional == Some(Conditional::Networks),
            objective: Objective {
                beta: objective.beta,
                warm_up: objective.kl_warm_up,
                free_bits: objective.free_bits,
                importance: objective.importance_draws,
                total_correlation: objective.total_correlation,
                antithetic: objective.antithetic,
            },
        })
    }
}
