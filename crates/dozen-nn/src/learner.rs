//! What a family gives the training loop.

use std::path::Path;

use burn::tensor::Device;

use crate::Error;

/// Named parts of a loss or a validation, in a fixed order; the first is the one that counts.
pub type Terms = Vec<(&'static str, f64)>;

/// What the loop tells a step.
#[derive(Clone, Copy, Debug)]
pub struct StepContext {
    /// The learning rate of this step.
    pub rate: f64,
    /// The number of this step, from 1.
    pub step: u64,
    /// A seed of this step's own: with it a resumed run draws what an uninterrupted one would have drawn.
    pub seed: u64,
}

/// One or several networks that learn together from numbered rows.
pub trait Learner {
    /// One optimisation step on these rows; returns the terms of the loss, averaged over them.
    fn step(&mut self, rows: &[usize], context: StepContext) -> Terms;

    /// The terms on held-out rows, lower being better in the first; empty where there are none held out.
    fn validate(&mut self) -> Terms;

    /// Writes weights, and optimiser states if `with_optimizer`, into a folder.
    fn save(&self, folder: &Path, with_optimizer: bool) -> Result<(), Error>;

    /// Reads back what [`Learner::save`] wrote.
    fn load(&mut self, folder: &Path, with_optimizer: bool) -> Result<(), Error>;

    /// Where the networks are.
    fn device(&self) -> Device;
}
