//! Generative families: models from which data can be drawn, each with its density or a bound on it.
//!
//! [`autoregressive`] factorises a row's probability into one conditional for each column; [`flow`] bends it into a simple one; [`vae`] explains it by a
//! latent of few columns.

pub mod autoregressive;
pub mod flow;
mod tensors;
pub mod vae;
