//! Forecasts of numeric series: each row of a table from those before it.

use crate::{Example, Model, Sequence, SeriesColumn, Target, Task};

/// Columns and their scales, over the first `rows` rows of a matrix with as many columns as names.
pub fn standardize(names: &[String], values: &[f64], rows: usize) -> Vec<SeriesColumn> {
    let width = names.len();
    let column = |(at, name): (usize, &String)| {
        let own = values[..rows * width].iter().skip(at).step_by(width);
        let mean = own.clone().sum::<f64>() / rows as f64;
        let variance = own.map(|value| (value - mean).powi(2)).sum::<f64>() / rows as f64;
        let deviation = if variance > 0.0 { variance.sqrt() } else { 1.0 };
        SeriesColumn { name: name.clone(), mean, deviation }
    };
    names.iter().enumerate().map(column).collect()
}

fn scaled(columns: &[SeriesColumn], values: &[f64]) -> Vec<f32> {
    let by_column = values.iter().zip(columns.iter().cycle());
    by_column.map(|(value, column)| ((value - column.mean) / column.deviation) as f32).collect()
}

/// Runs of `steps` rows of a series, each with the rows after them as targets; neighbours share three quarters of their rows.
pub fn windows(columns: &[SeriesColumn], values: &[f64], steps: usize) -> Vec<Example> {
    let width = columns.len();
    let values = scaled(columns, values);
    let rows = values.len() / width;
    let part = |start: usize, end: usize| values[start * width..end * width].to_vec();
    let starts = (0..rows.saturating_sub(steps)).step_by((steps / 4).max(1));
    let window = |start: usize| Example {
        input: Sequence::Numbers { values: part(start, start + steps), width },
        target: Target::NumbersByStep(part(start + 1, start + steps + 1)),
    };
    starts.map(window).collect()
}

/// Predictions one row ahead.
#[derive(Clone, Debug, PartialEq)]
pub struct ForecastErrors {
    /// Of each column.
    pub errors: Vec<ColumnErrors>,
    /// Each column's predictions, in its own units.
    pub predicted: Vec<Vec<f64>>,
}

/// Errors of a column's predictions, in its own units.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnErrors {
    /// The column.
    pub column: String,
    /// The root of the mean squared error.
    pub root_mean_square: f64,
    /// The mean absolute error.
    pub mean_absolute: f64,
    /// Both of saying that the next row is as this one.
    pub persistence: [f64; 2],
}

/// Predicts each row from `from` on by all rows before it.
///
/// # Panics
/// When the model is for something else, or `from` is no row after the first.
pub fn evaluate_forecast(model: &Model, values: &[f64], from: usize) -> ForecastErrors {
    let columns = columns(model);
    let width = columns.len();
    let rows = values.len() / width;
    assert!((1..rows).contains(&from), "a row after the first");
    let input = scaled(columns, &values[..(rows - 1) * width]);
    let (outputs, _) = model.run(&Sequence::Numbers { values: input, width }, None);
    let predicted: Vec<Vec<f64>> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let said =
                |row: usize| f64::from(outputs[(row - 1) * width + at]) * column.deviation + column.mean;
            (from..rows).map(said).collect()
        })
        .collect();
    let of_column = |(at, column): (usize, &SeriesColumn)| {
        let truth = |row: usize| values[row * width + at];
        let own = predicted[at].iter().zip(from..rows).map(|(said, row)| said - truth(row));
        let persistence = (from..rows).map(|row| truth(row - 1) - truth(row));
        let [root_mean_square, mean_absolute] = errors(own);
        ColumnErrors {
            column: column.name.clone(),
            root_mean_square,
            mean_absolute,
            persistence: errors(persistence),
        }
    };
    ForecastErrors { errors: columns.iter().enumerate().map(of_column).collect(), predicted }
}

/// The root of the mean square and the mean absolute value.
fn errors(differences: impl Iterator<Item = f64>) -> [f64; 2] {
    let (mut squares, mut absolutes, mut count) = (0.0, 0.0, 0.0_f64);
    for difference in differences {
        squares += difference * difference;
        absolutes += difference.abs();
        count += 1.0;
    }
    [(squares / count).sqrt(), absolutes / count]
}

/// The next `horizon` rows after a series, each predicted row taken for true in turn; row by row.
///
/// # Panics
/// When the model is for something else, or the series has no row.
pub fn forecast(model: &Model, values: &[f64], horizon: usize) -> Vec<f64> {
    let columns = columns(model);
    let width = columns.len();
    let (outputs, mut state) = model.run(&Sequence::Numbers { values: scaled(columns, values), width }, None);
    let mut next = outputs[outputs.len() - width..].to_vec();
    let mut rows = Vec::new();
    for _ in 0..horizon {
        let unscaled = next.iter().zip(columns).map(|(value, c)| f64::from(*value) * c.deviation + c.mean);
        rows.extend(unscaled);
        (next, state) = model.run(&Sequence::Numbers { values: next, width }, Some(&state));
    }
    rows
}

fn columns(model: &Model) -> &[SeriesColumn] {
    match &model.config.task {
        Task::Forecast { columns } => columns,
        _ => panic!("a model of series"),
    }
}
