//! What goes along with a training: checkpoints, metrics, progress, interruption.

use serde::{Deserialize, Serialize};

use crate::history::History;
use crate::{Error, Learner};

/// Where a training stands; together with the learner's own files, enough to go on as if nothing had happened.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct TrainingState {
    pub(crate) history: History,
    /// Steps of all epochs.
    pub(crate) step: u64,
    /// Batches of the current epoch that are done, their rows, and their sums of terms times rows.
    pub(crate) batch: usize,
    pub(crate) rows: usize,
    pub(crate) sums: Vec<(String, f64)>,
}

impl TrainingState {
    /// What the epochs so far have come to.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Steps so far, of all epochs.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Terms of the training loss so far in this epoch, averaged over its rows.
    pub fn means(&self) -> Vec<(String, f64)> {
        self.sums.iter().map(|(name, sum)| (name.clone(), sum / self.rows as f64)).collect()
    }
}

/// An epoch under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// From 1.
    pub number: u64,
    /// The most there will be.
    pub of: u64,
    /// Its rows.
    pub rows: usize,
    /// Its batches.
    pub batches: usize,
}

/// Something that goes along with a training. What it returns as an error ends the training. By default nothing is done:
/// `()` is a training in memory.
pub trait Observer {
    /// Where a training stands that goes on, whose learner is loaded here; `None` where one begins. An observer that gives a
    /// state also keeps the best weights ([`Observer::keeps_weights`]), for memory has none of before.
    ///
    /// # Errors
    /// When what was kept cannot be read.
    fn resume(&mut self, _learner: &mut dyn Learner) -> Result<Option<TrainingState>, Error> {
        Ok(None)
    }

    /// An epoch begins, or goes on.
    fn epoch_begins(&mut self, _epoch: Epoch, _state: &TrainingState) {}

    /// A step of so many rows is done.
    ///
    /// # Errors
    /// When the training is to end.
    fn stepped(
        &mut self,
        _epoch: Epoch,
        _rows: usize,
        _state: &TrainingState,
        _learner: &dyn Learner,
    ) -> Result<(), Error> {
        Ok(())
    }

    /// An epoch was validated and is the last of the history; if `best`, its weights are the best so far, and the learner has
    /// them.
    ///
    /// # Errors
    /// When the training is to end.
    fn epoch_ended(
        &mut self,
        _state: &TrainingState,
        _best: bool,
        _learner: &dyn Learner,
    ) -> Result<(), Error> {
        Ok(())
    }

    /// Gives the learner the weights of the best epoch.
    ///
    /// # Errors
    /// When they cannot be read.
    fn load_best(&mut self, _epoch: u64, learner: &mut dyn Learner) -> Result<(), Error> {
        learner.recall();
        Ok(())
    }

    /// Whether [`Observer::epoch_ended`] keeps the best weights; else the learner remembers them in memory.
    fn keeps_weights(&self) -> bool {
        false
    }

    /// Where a state is kept that can be gone on from.
    fn checkpoint(&self) -> Option<std::path::PathBuf> {
        None
    }
}

impl Observer for () {}
