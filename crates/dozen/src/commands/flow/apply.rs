//! `dozen flow eval`, `score` and `sample`.

use std::time::Instant;

use dozen::data::{Matrix, Table, write_table};
use dozen::generative::TableModel;
use dozen::generative::flow::{Model, evaluate, score as score_rows};
use dozen::generative::metrics::wasserstein;
use serde_json::json;

use super::train::in_words;
use crate::codes::code_columns;
use crate::context::Context;
use crate::data::{OnData, ToTable};
use crate::made_rows::Sample;
use crate::output::{Failure, Results};

/// Rows of each side whose transport distance is computed.
const COMPARED: usize = 1000;

pub(super) fn open(on: &OnData, context: &Context) -> Result<(Model, Table), Failure> {
    let model = Model::open(&on.model, &context.device()?)?;
    let table = on.read.read(&on.data, context.seed(), model.config().condition.text_columns())?;
    Ok((model, table))
}

pub(super) fn eval(arguments: &OnData, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let (model, table) = open(arguments, context)?;
    let found = evaluate(&model, &table)?;
    let [far, apart] = distances(&model, &table, context.seed())?;
    let json = json!({
        "log_prob_nats_per_row": found.log_prob,
        "standard_error": found.standard_error,
        "bits_per_dimension": found.bits_per_dimension,
        "rows": found.rows,
        "wasserstein_to_samples": far,
        "wasserstein_between_halves": apart,
        "seconds": started.elapsed().as_secs_f64(),
    });
    Results::new(json)
        .line(in_words(&found.rows.to_string(), &found))
        .line(format!(
            "Wasserstein distance from samples to rows {far:.4}, between two halves of the rows {apart:.4} (standardised columns)"
        ))
        .print(context.json())
}

/// The Wasserstein distance of standardised rows to as many samples, and between two halves of the rows: what distance chance alone makes.
fn distances(model: &Model, table: &Table, seed: u64) -> Result<[f64; 2], Failure> {
    let count = (table.rows() / 2).min(COMPARED);
    if count == 0 {
        return Ok([f64::NAN; 2]);
    }
    let half = |from: usize| -> Result<(Matrix, Matrix), Failure> {
        let rows: Vec<usize> = (0..count).map(|row| 2 * row + from).collect();
        Ok(model.cells(&table.select(&rows))?)
    };
    let ((first, condition), (second, _)) = (half(0)?, half(1)?);
    let drawn = model.config().columns.encode(&model.sample(count, &condition, seed)?)?;
    Ok([wasserstein(&first, &drawn)?, wasserstein(&first, &second)?])
}

pub(super) fn score(arguments: &ToTable, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let (model, table) = open(&arguments.on, context)?;
    let scores = score_rows(&model, &table)?;
    let mean = scores.log_prob.iter().sum::<f64>() / table.rows() as f64;
    let mut columns = model.log_prob_columns(scores.log_prob);
    if columns.len() == 1 {
        context.progress().say("the model has no held-out rows to compare with, so that there is no p_value");
    }
    columns.extend(code_columns(&model, &scores.z));
    let rows = write_table(&arguments.out, [Ok(Table::new(columns)?)])?;
    let (seconds, out) = (started.elapsed().as_secs_f64(), arguments.out.display().to_string());
    let json = json!({
        "log_prob_nats_per_row": mean,
        "rows": rows,
        "rows_per_second": rows as f64 / seconds,
        "out": out,
        "seconds": seconds,
    });
    let line = format!("{rows} rows scored, {mean:.4} nats a row on average, in {out}");
    Results::new(json).line(line).print(context.json())
}

pub(super) fn sample(arguments: &Sample, context: &Context) -> Result<(), Failure> {
    let device = context.device()?;
    let seed = context.seed();
    arguments.run(
        context,
        |folder| Model::open(folder, &device),
        |model, rows, condition| model.draw(rows, condition, seed),
    )
}
