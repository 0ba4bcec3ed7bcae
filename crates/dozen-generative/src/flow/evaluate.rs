//! Held-out log-likelihood, and how odd each row is.

use dozen_data::{Matrix, Table};
use dozen_nn::Error;

use super::Model;

/// The mean log-probability of rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// In nats a row, in the data's own units.
    pub log_prob: f64,
    /// Of that mean.
    pub standard_error: f64,
    /// Rows evaluated.
    pub rows: usize,
    /// `-log2 p` over the number of columns.
    pub bits_per_dimension: f64,
}

/// Evaluates a flow on a table.
///
/// # Errors
/// When the table has no rows, or does not fit the model.
pub fn evaluate(model: &Model, table: &Table) -> Result<Evaluation, Error> {
    let (cells, condition) = model.cells(table)?;
    if cells.rows() == 0 {
        return Err(Error::Request("there are no rows to evaluate".into()));
    }
    let values = model.log_prob(&cells, &condition);
    let count = values.len() as f64;
    let log_prob = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - log_prob).powi(2)).sum();
    Ok(Evaluation {
        log_prob,
        standard_error: (squares / (count - 1.0).max(1.0) / count).sqrt(),
        rows: values.len(),
        bits_per_dimension: -log_prob / cells.columns() as f64 / std::f64::consts::LN_2,
    })
}

/// Each row's log-probability and its values in the base.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// `ln p` in nats.
    pub log_prob: Vec<f64>,
    /// `[rows, columns]`: standard normal, where the base is and the model fits.
    pub z: Matrix,
}

/// Scores each row of a table.
pub fn score(model: &Model, table: &Table) -> Result<Scores, Error> {
    let (cells, condition) = model.cells(table)?;
    let (z, log_prob) = model.encode_with_log_prob(&cells, &condition);
    Ok(Scores { log_prob, z })
}
