//! Variational autoencoders: `ln p(x) >= E_q(z|x)[ln p(x | z)] - KL(q(z | x) || p(z))` (Kingma and Welling 2014, eq. 2-3; Rezende et al. 2014).
//!
//! | part | what | source |
//! |---|---|---|
//! | [`Likelihood`] | bits, grey levels, numbers and categories given a latent | Kingma and Welling 2014, appendix C; Loaiza-Ganem and Cunningham 2019 |
//! | [`PosteriorConfig`] | normal, with any covariance, or bent by planar or inverse autoregressive steps | Rezende and Mohamed 2015; Kingma et al. 2016 |
//! | [`PriorConfig`] | normal, around class means, a mixture, of learnt inputs' posteriors | Tomczak and Welling 2018 |
//! | [`Objective`] | the bound, its weights, free bits, several draws, the total correlation | Higgins et al. 2017; Burda et al. 2016; Chen et al. 2018 |
//! | [`LatentConfig::Quantized`] | codes instead of a distribution | van den Oord et al. 2017 |
//!
//! [`Autoencoder`] has the terms; [`Model`] is a trained one with its columns.

mod autoencoder;
mod codebook;
mod config;
mod evaluate;
#[cfg(feature = "train")]
mod fit;
mod inputs;
#[cfg(feature = "train")]
mod learner;
mod likelihood;
mod model;
mod network;
mod posterior;
mod prior;
#[cfg(feature = "train")]
mod report;

pub use autoencoder::{Autoencoder, Rows, Terms};
pub use config::{
    LatentConfig, Likelihood, NetworkConfig, Objective, PosteriorConfig, PriorConfig, Saved, VaeConfig,
};

pub use evaluate::{Bound, DRAWS, Evaluation, evaluate, score};
#[cfg(feature = "train")]
pub use fit::Config;
#[cfg(feature = "train")]
pub use learner::{TrainRequest, fit, train_model};
pub use model::Model;
#[cfg(feature = "train")]
pub use report::training_report;

/// The name of this family in a model folder.
pub const FAMILY: &str = "vae";
