//! Autoregressive models: `p(x) = prod_s p(x_s | x_<s)` along an order of the columns.
//!
//! | model | conditionals | source |
//! |---|---|---|
//! | `fvsbn` | logistic regression on earlier columns | Frey, Hinton, Dayan 1995 |
//! | `mlp` | a network with one hidden layer for each column | Bengio and Bengio 1999 |
//! | `nade` | a running hidden state shared by all columns; mixtures of Gaussians make it RNADE | Larochelle and Murray 2011; Uria et al. 2013 |
//! | `made` | one masked network for all columns | Germain et al. 2015 |
//! | `eonade` | one network that takes any subset of columns, averaged over orders | Uria, Murray, Larochelle 2014 |
//!
//! Bits have a Bernoulli conditional, categories a softmax, real values a mixture of Gaussians. [`Model`] computes
//! densities and draws samples; [`train_model`] trains one; [`Baselines`] are what it must beat.

mod baselines;
mod conditional;
mod config;
mod evaluate;
mod export;
#[cfg(feature = "train")]
mod fit;
mod heads;
pub(crate) mod layout;
#[cfg(feature = "train")]
mod learner;
mod model;
mod networks;
#[cfg(feature = "train")]
mod report;
mod sample;
mod tree;

pub use baselines::Baselines;
pub use conditional::{Conditioned, Evidence, Probability};
pub use config::{Architecture, ModelConfig, Ordering, Saved};
pub use evaluate::{Evaluation, Surprise, evaluate, surprises};
pub use export::{conditional_tables, export_pytorch};
#[cfg(feature = "train")]
pub use fit::Config;
pub(crate) use heads::log_sum;
#[cfg(feature = "train")]
pub use learner::{TrainRequest, fit, train_model};
pub use model::Model;
#[cfg(feature = "train")]
pub use report::training_report;

/// The name of this family in a model folder.
pub const FAMILY: &str = "autoregressive";
