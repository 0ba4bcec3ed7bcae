//! What a family gives the training loop.

use std::path::Path;

use burn::tensor::Device;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

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
    /// The rows of each step of an epoch: all rows, shuffled. A learner whose rows follow on each other, or are best taken
    /// with their like, has batches of its own.
    fn batches(&self, rows: usize, batch_size: usize, seed: u64) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..rows).collect();
        order.shuffle(&mut StdRng::seed_from_u64(seed));
        order.chunks(batch_size).map(<[usize]>::to_vec).collect()
    }

    /// One optimisation step on these rows; returns the terms of the loss, averaged over them.
    fn step(&mut self, rows: &[usize], context: StepContext) -> Terms;

    /// The rows and the seed of the step after the one that comes: a learner that reads its rows from files may begin to read these.
    fn upcoming(&mut self, _rows: &[usize], _seed: u64) {}

    /// The terms on held-out rows, lower being better in the first; empty where there are none held out.
    fn validate(&mut self) -> Terms;

    /// Whether the weights of the best epoch by validation are the model, or those of the last.
    fn keeps_best(&self) -> bool {
        true
    }

    /// Writes weights, and optimiser states if `with_optimizer`, into a folder.
    fn save(&self, folder: &Path, with_optimizer: bool) -> Result<(), Error>;

    /// Reads back what [`Learner::save`] wrote.
    fn load(&mut self, folder: &Path, with_optimizer: bool) -> Result<(), Error>;

    /// Keeps the weights as they are now, in memory.
    fn remember(&mut self);

    /// Takes back the weights that [`Learner::remember`] kept.
    fn recall(&mut self);

    /// Where the networks are.
    fn device(&self) -> Device;
}
