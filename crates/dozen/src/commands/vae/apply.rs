//! `dozen vae eval`, `score`, `sample` and `impute`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use dozen::data::{Column, Matrix, Table, Values, write_table};
use dozen::generative::TableModel;
use dozen::generative::metrics::wasserstein;
use dozen::generative::vae::{LatentConfig, Model, evaluate, score as score_rows};
use serde_json::json;

use super::train::in_words;
use crate::context::Context;
use crate::data::{OnData, number_column};
use crate::made_rows::{self, positive};
use crate::output::{Failure, Results};

pub(super) fn open(on: &OnData, context: &Context) -> Result<(Model, Table), Failure> {
    let model = Model::open(&on.model, &context.device()?)?;
    let config = model.config();
    let text = [config.columns.text_columns(), config.condition.text_columns()].concat();
    let table = on.read.read_with_missing(&on.data, context.seed(), text)?;
    Ok((model, table))
}

#[derive(Args, Debug)]
pub(crate) struct Eval {
    #[command(flatten)]
    on: OnData,
    /// Draws of the importance-weighted bound
    #[arg(long, default_value_t = 100, value_name = "K")]
    importance_samples: usize,
}

#[derive(Args, Debug)]
pub(crate) struct Score {
    #[command(flatten)]
    on: OnData,
    /// Draws of the importance-weighted bound
    #[arg(long, default_value_t = 100, value_name = "K")]
    importance_samples: usize,
    /// The table to write, a row for each row: .csv, .tsv, .parquet or .npy
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct SampleOrMean {
    #[command(flatten)]
    sample: made_rows::Sample,
    /// What the decoder says on average instead of a draw from it; images are always that
    #[arg(long)]
    means: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Impute {
    #[command(flatten)]
    on: OnData,
    /// Latents drawn for each row
    #[arg(long, default_value_t = 100, value_name = "K")]
    draws: usize,
    /// The table to write, with nothing missing
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Rows of each side whose transport distance is computed.
const COMPARED: usize = 1000;

pub(super) fn eval(arguments: &Eval, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let draws = positive("--importance-samples", arguments.importance_samples)?;
    let (model, table) = open(&arguments.on, context)?;
    let found = evaluate(&model, &table, draws, context.seed())?;
    let [far, apart] = distances(&model, &table, context.seed())?;
    let best = found.bounds.last();
    let bounds: Vec<_> = found
        .bounds
        .iter()
        .map(|bound| json!({ "draws": bound.draws, "nats_per_row": bound.nats, "standard_error": bound.standard_error }))
        .collect();
    let json = json!({
        "elbo_nats_per_row": found.elbo,
        "elbo_standard_error": found.standard_error,
        "reconstruction_nats_per_row": found.reconstruction,
        "kl_nats_per_row": found.divergence,
        "kl_of_means": found.parts.map(|parts| parts[0]),
        "kl_of_deviations": found.parts.map(|parts| parts[1]),
        "log_prob_bound_nats_per_row": best.map(|bound| bound.nats),
        "standard_error": best.map(|bound| bound.standard_error),
        "bounds": bounds,
        "active_units": found.active_units,
        "code_perplexity": found.code_perplexity,
        "bits_per_dimension": found.bits_per_dimension,
        "wasserstein_to_samples": far,
        "wasserstein_between_halves": apart,
        "rows": found.rows,
        "seconds": started.elapsed().as_secs_f64(),
    });
    let mut lines = vec![in_words(&found.rows.to_string(), &found)];
    lines.extend(found.bounds.iter().map(|bound| {
        let (draws, nats, error) = (bound.draws, bound.nats, bound.standard_error);
        format!("importance-weighted bound of {draws} draws: {nats:.4} ± {error:.4} nats a row")
    }));
    lines.push(format!(
        "{} of {} latent columns are active",
        found.active_units,
        model.config().model.latent
    ));
    lines.push(format!(
        "Wasserstein distance from samples to rows {far:.4}, between two halves of the rows {apart:.4}"
    ));
    Results::new(json).lines(lines).print(context.json())
}

/// The Wasserstein distance of rows without missing cells to as many samples, and between two halves of the rows: what distance chance alone makes.
fn distances(model: &Model, table: &Table, seed: u64) -> Result<[f64; 2], Failure> {
    let whole = |row: &usize| !table.columns().iter().any(|column| column.values.is_missing(*row));
    let whole: Vec<usize> = (0..table.rows()).filter(whole).take(2 * COMPARED).collect();
    let count = whole.len() / 2;
    if count == 0 {
        return Ok([f64::NAN; 2]);
    }
    let half = |from: usize| -> Result<(Matrix, Matrix), Failure> {
        let rows: Vec<usize> = whole.iter().copied().skip(from).step_by(2).take(count).collect();
        Ok(model.cells(&table.select(&rows))?)
    };
    let ((first, condition), (second, _)) = (half(0)?, half(1)?);
    let drawn = model.sample(count, &condition, seed, false);
    let inputs = |cells: &Matrix| model.inputs(cells, &condition);
    let (first, second, drawn) = (inputs(&first), inputs(&second), inputs(&drawn));
    Ok([wasserstein(&first, &drawn)?, wasserstein(&first, &second)?])
}

pub(super) fn score(arguments: &Score, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let draws = positive("--importance-samples", arguments.importance_samples)?;
    let (model, table) = open(&arguments.on, context)?;
    let bounds = score_rows(&model, &table, draws, context.seed())?;
    let mean = bounds.iter().sum::<f64>() / bounds.len() as f64;
    let rows =
        write_table(&arguments.out, [Ok(Table::new(vec![number_column("log_prob_bound_nats", bounds)])?)])?;
    let (seconds, out) = (started.elapsed().as_secs_f64(), arguments.out.display().to_string());
    let json = json!({
        "log_prob_bound_nats_per_row": mean,
        "rows": rows,
        "rows_per_second": rows as f64 / seconds,
        "out": out,
        "seconds": seconds,
    });
    let line = format!("{rows} rows scored, {mean:.4} nats a row on average, in {out}");
    Results::new(json).line(line).print(context.json())
}

pub(super) fn sample(arguments: &SampleOrMean, context: &Context) -> Result<(), Failure> {
    let (device, seed) = (context.device()?, context.seed());
    let draw = |model: &Model, rows: usize, condition: &Matrix| {
        let means = arguments.means || model.image().is_some();
        Ok(model.sample(rows, condition, seed, means))
    };
    arguments.sample.run(context, |folder| Model::open(folder, &device), draw)
}

pub(super) fn impute(arguments: &Impute, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let draws = positive("--draws", arguments.draws)?;
    let (model, table) = open(&arguments.on, context)?;
    if !matches!(model.config().model.kind, LatentConfig::Variational { .. }) {
        return Err(Failure::request(
            "missing cells are filled in by draws of the latent, and this model has none: train it without --deterministic and \
             --codes",
        ));
    }
    let (cells, condition) = model.cells(&table)?;
    let missing = cells.values().iter().filter(|cell| cell.is_nan()).count();
    let filled = model.table(&model.impute(&cells, &condition, draws, context.seed()))?;
    // What was there stays as it was, to the last digit; so do columns that the model does not know.
    let columns = table.columns().iter().map(|column| match filled.column(&column.name) {
        Some(made) => Column::new(column.name.clone(), merged(&column.values, &made.values)),
        None => column.clone(),
    });
    let rows = write_table(&arguments.out, [Ok(Table::new(columns.collect())?)])?;
    let out = arguments.out.display().to_string();
    let seconds = started.elapsed().as_secs_f64();
    let json = json!({ "rows": rows, "cells_filled": missing, "out": out, "seconds": seconds });
    Results::new(json)
        .line(format!("{missing} cells of {rows} rows filled in, in {out}"))
        .print(context.json())
}

fn merged(known: &Values, made: &Values) -> Values {
    match known {
        Values::Byte(_) => known.clone(),
        Values::Number(values) => Values::Number(
            values
                .iter()
                .enumerate()
                .map(
                    |(row, value)| if value.is_nan() { made.number(row).unwrap_or(f64::NAN) } else { *value },
                )
                .collect(),
        ),
        Values::Text(values) => Values::Text(
            values
                .iter()
                .enumerate()
                .map(|(row, value)| if value.is_empty() { made.text(row) } else { value.clone() })
                .collect(),
        ),
    }
}
