//! How improbable a row is beside held-out ones.

use serde::{Deserialize, Serialize};

/// The file of the calibration in a model folder.
pub(crate) const CALIBRATION: &str = "calibration.json";

/// Held-out log-probabilities, sorted: what a row's is compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    sorted: Vec<f64>,
}

impl Calibration {
    /// Of held-out rows.
    pub fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self { sorted: values }
    }

    /// The share of held-out rows that are as improbable, the row itself among them: a p-value against the row being one of them.
    pub fn p_value(&self, log_prob: f64) -> f64 {
        let below = self.sorted.partition_point(|value| *value <= log_prob);
        (below as f64 + 1.0) / (self.sorted.len() as f64 + 1.0)
    }
}
