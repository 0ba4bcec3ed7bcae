//! The training loop of every neural family.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::observer::{Epoch, TrainingState};
use crate::{Decay, EpochRecord, Error, History, Learner, Observer, Schedule, StepContext, Terms};

/// How long and in what pieces to train.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// The most epochs.
    pub epochs: u64,
    /// Rows to a step.
    pub batch_size: usize,
    /// Stop after this many epochs without a better validation; `None` never stops early.
    pub patience: Option<u64>,
    /// The learning rate over time.
    pub schedule: Schedule,
    /// Fixes shuffling and everything random inside steps.
    pub seed: u64,
    /// Also write TensorBoard event files.
    pub tensorboard: bool,
}

impl Default for TrainConfig {
    /// At most 500 epochs of batches of 100 rows at a rate of 0.001, which falls to 0.3 of itself after 6 epochs without a
    /// better validation; an end after 20 of those; the seed 0; no event files.
    fn default() -> Self {
        let decay = Decay::Plateau { patience: 6, factor: 0.3 };
        Self {
            epochs: 500,
            batch_size: 100,
            patience: Some(20),
            schedule: Schedule { rate: 0.001, warm_up: 0, decay },
            seed: 0,
            tensorboard: false,
        }
    }
}

/// Trains on rows `0..rows`, going on from where `observer` says that a training stands.
///
/// At the end the learner holds the weights of the best epoch by validation, or of the last where nothing is held out.
///
/// # Errors
/// [`Error::NotFinite`] when a term of the loss is not finite, which names the last checkpoint if there was one, and what
/// the observer ends the training with.
pub fn train(
    learner: &mut dyn Learner,
    rows: usize,
    config: &TrainConfig,
    observer: &mut dyn Observer,
) -> Result<History, Error> {
    if rows == 0 {
        return Err(Error::Request("there are no rows to train on".into()));
    }
    let state = observer.resume(learner)?.unwrap_or_default();
    let before = state.history.seconds;
    let mut training = Loop { rows, config, observer, state, started: Instant::now(), before };
    training.run(learner)?;
    Ok(training.state.history)
}

struct Loop<'a> {
    rows: usize,
    config: &'a TrainConfig,
    observer: &'a mut dyn Observer,
    state: TrainingState,
    started: Instant,
    /// Seconds of training before this process went on.
    before: f64,
}

impl Loop<'_> {
    fn run(&mut self, learner: &mut dyn Learner) -> Result<(), Error> {
        while !self.is_over() {
            self.epoch(learner)?;
            self.close_epoch(learner)?;
        }
        let best = self.state.history.best_epoch;
        let is_kept = learner.keeps_best() && !self.state.history.validation().is_empty();
        if is_kept { self.observer.load_best(best, learner) } else { Ok(()) }
    }

    fn is_over(&self) -> bool {
        let done = self.state.history.epochs.len() as u64;
        let waited = done - self.state.history.best_epoch;
        done >= self.config.epochs
            || self.config.patience.is_some_and(|patience| done > 0 && waited >= patience)
    }

    fn epoch(&mut self, learner: &mut dyn Learner) -> Result<(), Error> {
        let done = self.state.history.epochs.len() as u64;
        let batches = learner.batches(self.rows, self.config.batch_size.max(1), mix(self.config.seed, done));
        let (number, of) = (done + 1, self.config.epochs);
        let epoch = Epoch { number, of, rows: self.rows, batches: batches.len() };
        self.observer.epoch_begins(epoch, &self.state);
        for batch in &batches[self.state.batch..] {
            if let Some(next) = batches.get(self.state.batch + 1) {
                learner.upcoming(next, self.seed(self.state.step + 2));
            }
            let context = self.context(done, batches.len(), learner);
            let terms = learner.step(batch, context);
            self.check(&terms)?;
            self.state.step += 1;
            self.state.batch += 1;
            self.state.rows += batch.len();
            add(&mut self.state.sums, &terms, batch.len());
            self.state.history.seconds = self.seconds();
            self.observer.stepped(epoch, batch.len(), &self.state, learner)?;
        }
        Ok(())
    }

    fn context(&self, epoch: u64, batches: usize, learner: &dyn Learner) -> StepContext {
        let total = self.config.epochs * batches as u64;
        let rate = self.config.schedule.rate(self.state.step, total, epoch, &self.state.history.validation());
        let step = self.state.step + 1;
        let seed = self.seed(step);
        learner.device().seed(seed);
        StepContext { rate, step, seed }
    }

    /// The seed of a step.
    fn seed(&self, step: u64) -> u64 {
        mix(self.config.seed ^ 0x5eed, step)
    }

    fn check(&self, terms: &Terms) -> Result<(), Error> {
        match terms.iter().find(|(_, value)| !value.is_finite()) {
            None => Ok(()),
            Some((term, value)) => Err(Error::NotFinite {
                step: self.state.step + 1,
                term: (*term).to_owned(),
                value: *value,
                checkpoint: self.observer.checkpoint(),
            }),
        }
    }

    fn seconds(&self) -> f64 {
        self.before + self.started.elapsed().as_secs_f64()
    }

    /// Validates, and notes whether the weights are the best so far.
    fn close_epoch(&mut self, learner: &mut dyn Learner) -> Result<(), Error> {
        let valid = learner.validate();
        self.check(&valid)?;
        self.state.history.seconds = self.seconds();
        let epoch = self.state.history.epochs.len() as u64 + 1;
        let is_best = !learner.keeps_best()
            || valid.first().is_none_or(|(_, value)| *value < self.state.history.best_value());
        let record = EpochRecord {
            epoch,
            step: self.state.step,
            rate: self.config.schedule.rate(
                self.state.step.saturating_sub(1),
                self.state.step / epoch * self.config.epochs,
                epoch - 1,
                &self.state.history.validation(),
            ),
            seconds: self.state.history.seconds,
            train: self.state.means(),
            valid: valid.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        };
        if is_best {
            self.state.history.best_epoch = epoch;
            if learner.keeps_best() && !record.valid.is_empty() && !self.observer.keeps_weights() {
                learner.remember();
            }
        }
        self.state.history.epochs.push(record);
        (self.state.batch, self.state.rows) = (0, 0);
        self.state.sums.clear();
        self.observer.epoch_ended(&self.state, is_best, learner)
    }
}

fn add(sums: &mut Vec<(String, f64)>, terms: &Terms, rows: usize) {
    for (name, value) in terms {
        match sums.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += value * rows as f64,
            None => sums.push(((*name).to_owned(), value * rows as f64)),
        }
    }
}

/// A seed from two numbers (the finaliser of SplitMix64).
fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
