//! Generative adversarial networks: a generator G draws rows, a discriminator D tells them from data, and each learns from the other
//! (Goodfellow et al. 2014): `min_G max_D E[ln D(x)] + E[ln(1 - D(G(z)))]`.
//!
//! | part | what | source |
//! |---|---|---|
//! | [`Loss`] | minimax, non-saturating, least squares, hinge, Wasserstein | Goodfellow et al. 2014; Mao et al. 2017; Lim and Ye 2017; Arjovsky et al. 2017 |
//! | [`Lipschitz`] | clipped weights, gradient penalty, spectral norm, R1 | Arjovsky et al. 2017; Gulrajani et al. 2017; Miyato et al. 2018; Mescheder et al. 2018 |
//! | [`unrolled_value`] | a generator that looks some steps of its critic ahead | Metz et al. 2017 |
//! | [`NetworkConfig`] | dense, convolutional (DCGAN), residual | Radford et al. 2016; Gulrajani et al. 2017 |
//! | [`Columns`] | numbers around the modes of their column, categories as one of many | Xu et al. 2019 |
//! | [`metrics`](crate::metrics) | what says how good samples are | |
//!
//! [`Critic`] is the discriminator (its value is the logit of `D`), with its gradient by the input in closed form.

mod columns;
mod config;
mod critic;
mod evaluate;
#[cfg(feature = "train")]
mod fit;
mod generator;
mod layer;
#[cfg(feature = "train")]
mod learner;
mod lipschitz;
mod loss;
mod mixture;
mod model;
#[cfg(feature = "train")]
mod report;
mod spectral;
mod unrolled;

pub use columns::{Columns, Numbers};
pub use config::{GanConfig, Lipschitz, Loss, NetworkConfig, Saved, Upsampling};
pub use critic::Critic;
pub use evaluate::{Beside, Evaluation, Features, Modes, evaluate};
#[cfg(feature = "train")]
pub use fit::Config;
pub use generator::Generator;
#[cfg(feature = "train")]
pub use learner::{TrainRequest, fit, train_model};
pub use lipschitz::{clip_weights, gradient_norms, gradient_penalty};
pub use model::Model;
#[cfg(feature = "train")]
pub use report::{animation, training_report};
pub use unrolled::unrolled_value;

/// The name of this family in a model folder.
pub const FAMILY: &str = "gan";
