//! What a training has been through.

use serde::{Deserialize, Serialize};

/// One finished epoch, a line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: u64,
    /// Steps taken until its end.
    pub step: u64,
    /// The learning rate of its last step.
    pub rate: f64,
    /// Seconds of training, validation included, until its end.
    pub seconds: f64,
    /// Terms of the training loss, averaged over its rows.
    pub train: Vec<(String, f64)>,
    /// Terms of the validation; empty where nothing is held out.
    pub valid: Vec<(String, f64)>,
}

/// What a run has been through.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// All finished epochs.
    pub epochs: Vec<EpochRecord>,
    /// The epoch, from 1, whose weights the model has: the best by validation, or else the last.
    pub best_epoch: u64,
    /// Seconds of training.
    pub seconds: f64,
}

impl History {
    /// The first term of each epoch's validation.
    pub fn validation(&self) -> Vec<f64> {
        self.epochs.iter().filter_map(|epoch| epoch.valid.first().map(|(_, value)| *value)).collect()
    }

    /// A term of the training loss or, where that has none of the name, of the validation, against the epoch.
    pub fn curve(&self, term: &str) -> Vec<(f64, f64)> {
        let point = |epoch: &EpochRecord| {
            let (_, value) = epoch.train.iter().chain(&epoch.valid).find(|(name, _)| name == term)?;
            Some((epoch.epoch as f64, *value))
        };
        self.epochs.iter().filter_map(point).collect()
    }

    /// The first term of each epoch's training loss, and of its validation where there is one, against the epoch.
    pub fn curves(&self) -> [Vec<(f64, f64)>; 2] {
        let series = |of: fn(&EpochRecord) -> &Vec<(String, f64)>| {
            let point = |epoch: &EpochRecord| Some((epoch.epoch as f64, of(epoch).first()?.1));
            self.epochs.iter().filter_map(point).collect()
        };
        [series(|epoch| &epoch.train), series(|epoch| &epoch.valid)]
    }

    /// The least of them; infinite where there is none.
    pub(crate) fn best_value(&self) -> f64 {
        self.validation().into_iter().fold(f64::INFINITY, f64::min)
    }
}
