//! Generative families: models from which data can be drawn, each with its density or a bound on it.
//!
//! [`autoregressive`] factorises a row's probability into one conditional for each column; [`flow`] bends it into a simple one; [`vae`] explains it by a
//! latent of few columns; [`gan`] draws it by a network that another cannot tell from data. [`metrics`] say how good draws are.
//! What all of them can do once they are trained is [`TableModel`]; [`open`] opens whichever a folder holds.
//!
//! ```
//! use dozen_data::Matrix;
//! use dozen_generative::metrics::{frechet_distance, wasserstein};
//!
//! let data = Matrix::new(vec![0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0], 2);
//! let moved = Matrix::new(data.values().iter().map(|value| value + 3.0).collect(), 2);
//! // By (3, 3): the squared distance of the means, and the length of every way.
//! assert!((frechet_distance(&data, &moved) - 18.0).abs() < 1e-6);
//! assert!((wasserstein(&data, &moved)? - 18.0_f64.sqrt()).abs() < 1e-6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// What only learners and reports call.
#![cfg_attr(not(feature = "train"), allow(dead_code, unused_imports))]

pub mod autoregressive;
pub mod flow;
pub mod gan;
pub mod metrics;
#[cfg(feature = "train")]
mod pairs;
#[cfg(feature = "train")]
mod parts;
mod table_model;
mod tensors;
pub mod vae;

pub use table_model::{About, LatentModel, Measure, TableModel, open};
