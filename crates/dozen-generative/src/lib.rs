//! Generative families: models from which data can be drawn, each with its density or a bound on it.
//!
//! [`autoregressive`] factorises a row's probability into one conditional for each column; [`flow`] bends it into a simple one; [`vae`] explains it by a
//! latent of few columns; [`gan`] draws it by a network that another cannot tell from data. [`metrics`] say how good draws are.

pub mod autoregressive;
pub mod flow;
pub mod gan;
pub mod metrics;
mod pairs;
mod tensors;
pub mod vae;
