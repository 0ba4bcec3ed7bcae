//! How good samples are, by numbers.

use dozen_data::{Matrix, Table};
use dozen_nn::Error;

use super::Model;
use crate::metrics::{
    Copying, ModeCount, Neighbours, Parzen, copying, frechet_distance, kernel_distance, modes, neighbours,
    parzen_log_prob, wasserstein,
};

/// Samples beside held-out rows. Distances are between rows as the networks see them, or between their features where those are given.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Rows of each side.
    pub rows: usize,
    /// The exact transport distance of samples to rows.
    pub wasserstein: f64,
    /// That between two halves of the rows, of half as many each: what chance alone makes.
    pub wasserstein_between_halves: f64,
    /// The mean of the critic's value at rows less that at samples.
    pub critic_value: f64,
    /// The share of rows and samples that the critic tells right.
    pub accuracy: f64,
    /// The Fréchet distance.
    pub frechet: f64,
    /// The kernel distance.
    pub kernel_distance: f64,
    /// Precision, recall, density and coverage.
    pub neighbours: Neighbours,
    /// How samples fall to the classes of rows that have labels.
    pub modes: Option<Modes>,
    /// The log-probability under Gaussians at samples.
    pub parzen: Parzen,
    /// How near samples lie to training rows, where those are given.
    pub copying: Option<Copying>,
}

/// Samples by the class of the nearest rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Modes {
    /// The classes.
    pub names: Vec<String>,
    /// How samples fall to them.
    pub count: ModeCount,
}

/// Neighbours by which precision and recall are told (Kynkäänniemi et al. 2019 take 3).
const NEIGHBOURS: usize = 3;

/// What is compared beside the rows.
#[derive(Default)]
pub struct Beside<'a> {
    /// Rows that were trained on.
    pub train: Option<&'a Table>,
    /// The column that names each row's class.
    pub label: Option<&'a str>,
    /// What turns encoded cells into features, the space of distances.
    pub features: Option<Features<'a>>,
}

/// What turns encoded cells into features.
pub type Features<'a> = &'a dyn Fn(&Matrix) -> Result<Matrix, Error>;

/// Draws as many rows as there are held-out ones, at most `limit`, and compares.
///
/// # Errors
/// When the table does not fit the model, or has too few rows.
pub fn evaluate(
    model: &Model,
    held_out: &Table,
    beside: &Beside<'_>,
    limit: usize,
    seed: u64,
) -> Result<Evaluation, Error> {
    let rows = held_out.rows().min(limit);
    if rows < 2 * (NEIGHBOURS + 1) {
        return Err(Error::Request(format!(
            "{rows} rows are too few to compare; {} are the least",
            2 * (NEIGHBOURS + 1)
        )));
    }
    let first: Vec<usize> = (0..rows).collect();
    let table = held_out.select(&first);
    let (cells, condition) = model.cells(&table)?;
    let drawn_rows = model.sample_rows(rows, &condition, seed);
    let seen = model.rows(&cells);
    let values = [model.critic_values(&seen, &condition), model.critic_values(&drawn_rows, &condition)];
    let threshold = model.config().model.loss.threshold() as f32;
    let right = values[0].iter().filter(|value| **value > threshold).count()
        + values[1].iter().filter(|value| **value <= threshold).count();
    let mean = |values: &[f32]| values.iter().map(|value| f64::from(*value)).sum::<f64>() / rows as f64;
    let in_space = |cells: &Matrix| -> Result<Matrix, Error> {
        match beside.features {
            Some(features) => features(cells),
            None => Ok(model.rows(cells)),
        }
    };
    let drawn = in_space(&model.config().layout.decode(&drawn_rows))?;
    let real = in_space(&cells)?;
    let half = |odd: usize| -> Vec<usize> { (odd..rows / 2 * 2).step_by(2).collect() };
    let failed = |error: dozen_transport::Error| Error::Request(error.to_string());
    let labels = beside.label.and_then(|name| table.column(name));
    let modes = labels.map(|column| {
        let names: Vec<String> = (0..rows).map(|row| column.values.text(row)).collect();
        let mut distinct = names.clone();
        distinct.sort();
        distinct.dedup();
        let place = |name: &String| distinct.partition_point(|other| other < name);
        let labels: Vec<usize> = names.iter().map(place).collect();
        let count = modes(&real, &labels, &drawn);
        Modes { names: distinct, count }
    });
    let copied = beside.train.map(|train| -> Result<Copying, Error> {
        Ok(copying(&in_space(&model.cells(train)?.0)?, &real, &drawn))
    });
    Ok(Evaluation {
        rows,
        wasserstein: wasserstein(&real, &drawn).map_err(failed)?,
        wasserstein_between_halves: wasserstein(&real.select(&half(0)), &real.select(&half(1)))
            .map_err(failed)?,
        critic_value: mean(&values[0]) - mean(&values[1]),
        accuracy: right as f64 / (2 * rows) as f64,
        frechet: frechet_distance(&real, &drawn),
        kernel_distance: kernel_distance(&real, &drawn),
        neighbours: neighbours(&real, &drawn, NEIGHBOURS),
        modes,
        parzen: parzen_log_prob(&real, &drawn),
        copying: copied.transpose()?,
    })
}
