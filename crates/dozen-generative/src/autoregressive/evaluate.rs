//! Held-out log-likelihood beside the baselines, and what surprises in each row.

use dozen_data::{DataError, Table};
use dozen_nn::Error;

use super::{Baselines, Model};

/// Mean held-out log-probabilities in nats a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Of the model.
    pub log_prob: f64,
    /// Of that mean.
    pub standard_error: f64,
    /// Rows evaluated.
    pub rows: usize,
    /// Of independent columns and of the Chow-Liu tree.
    pub baselines: [f64; 2],
}

/// Evaluates a model and its baselines on a stream of tables.
pub fn evaluate(
    model: &Model,
    baselines: &Baselines,
    tables: impl IntoIterator<Item = Result<Table, DataError>>,
) -> Result<Evaluation, Error> {
    let (mut rows, mut mean, mut squares) = (0_usize, 0.0, 0.0);
    let mut baseline_sums = [0.0; 2];
    for table in tables {
        let cells = model.config().columns.encode(&table?)?;
        for (row, value) in model.log_prob(&cells).into_iter().enumerate() {
            // Welford's running mean and sum of squared deviations.
            rows += 1;
            let step = value - mean;
            mean += step / rows as f64;
            squares += step * (value - mean);
            for (sum, value) in baseline_sums.iter_mut().zip(baselines.log_prob(cells.row(row))) {
                *sum += value;
            }
        }
    }
    if rows == 0 {
        return Err(Error::Request("there are no rows to evaluate".into()));
    }
    let count = rows as f64;
    Ok(Evaluation {
        log_prob: mean,
        standard_error: (squares / (count - 1.0).max(1.0) / count).sqrt(),
        rows,
        baselines: baseline_sums.map(|sum| sum / count),
    })
}

/// A row's log-probability and its most surprising cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Surprise {
    /// In nats.
    pub log_prob: f64,
    /// The column with the least log-probability given the columns before it.
    pub column: String,
    /// That log-probability, in nats.
    pub column_log_prob: f64,
}

/// Scores each row of a table.
pub fn surprises(model: &Model, table: &Table) -> Result<Vec<Surprise>, Error> {
    let columns = &model.config().columns;
    let cells = columns.encode(table)?;
    let totals = model.log_prob(&cells);
    let by_column = model.log_prob_by_column(&cells);
    let rows = totals.into_iter().zip(by_column.chunks_exact(columns.columns.len()));
    Ok(rows
        .map(|(log_prob, by_column)| {
            let (worst, least) =
                by_column.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).unwrap_or((0, &0.0));
            Surprise { log_prob, column: columns.columns[worst].name.clone(), column_log_prob: *least }
        })
        .collect())
}
