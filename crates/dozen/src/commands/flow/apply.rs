//! `dozen flow eval`, `score`, `sample`, `encode` and `decode`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use dozen::data::{Column, Matrix, Table, write_table};
use dozen::generative::flow::{Calibration, Model, evaluate, score as score_rows};
use dozen::generative::metrics::wasserstein;
use serde_json::{Value, json};

use super::train::{CALIBRATION, in_words};
use crate::args::Context;
use crate::data::{OnData, ToTable, given, number_column, rows_of, two_rows};
use crate::output::{Failure, Results, print_table};
use crate::pictures::{self, write_or_print};

#[derive(Args, Debug)]
pub(crate) struct Sample {
    /// A model folder
    model: PathBuf,
    /// Rows to draw
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    rows: usize,
    /// For a conditional flow: the condition's columns with the values of all rows
    #[arg(long, value_name = "COLUMN=VALUE,...")]
    given: Option<String>,
    /// The table to write, or of images a .png with all of them [default: CSV on standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Interpolate {
    #[command(flatten)]
    on: OnData,
    /// The two rows, counted from 1
    #[arg(long, default_value = "1,2", value_name = "A,B", value_delimiter = ',')]
    rows: Vec<usize>,
    /// Rows to make, both ends among them
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    count: usize,
    /// The table to write [default: CSV on standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Rows of each side whose transport distance is computed.
const COMPARED: usize = 1000;

fn open(on: &OnData, context: &Context) -> Result<(Model, Table), Failure> {
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
    let calibration = read_calibration(&arguments.on.model)?;
    let p_values = scores.log_prob.iter().map(|value| calibration.p_value(*value));
    let mut columns = vec![
        number_column("log_prob_nats", scores.log_prob.iter().copied()),
        number_column("p_value", p_values),
    ];
    columns.extend(base_columns(&model, &scores.z));
    let rows = write_table(&arguments.out, [Ok(Table::new(columns)?)])?;
    let mean = scores.log_prob.iter().sum::<f64>() / rows as f64;
    let out = arguments.out.display();
    let json = json!({ "log_prob_nats_per_row": mean });
    said(
        json,
        rows,
        format!("{rows} rows scored, {mean:.4} nats a row on average, in {out}"),
        arguments,
        started,
        context,
    )
}

fn read_calibration(model: &Path) -> Result<Calibration, Failure> {
    let path = model.join(CALIBRATION);
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Failure::request(format!("cannot read `{}`: {error}", path.display())))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::request(format!("`{}` is not understood: {error}", path.display())))
}

/// Base values as columns `z_NAME`.
fn base_columns<'m>(model: &'m Model, z: &'m Matrix) -> impl Iterator<Item = Column> + 'm {
    model.config().columns.columns.iter().enumerate().map(move |(at, column)| {
        number_column(&format!("z_{}", column.name), (0..z.rows()).map(move |row| f64::from(z.row(row)[at])))
    })
}

pub(super) fn encode(arguments: &ToTable, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let (model, table) = open(&arguments.on, context)?;
    let (cells, condition) = model.cells(&table)?;
    let z = model.encode(&cells, &condition);
    let mut columns: Vec<Column> = base_columns(&model, &z).collect();
    // The condition goes along, so that `decode` has it.
    let conditions = model.config().condition.columns.iter();
    columns.extend(conditions.filter_map(|column| table.column(&column.name).cloned()));
    let rows = write_table(&arguments.out, [Ok(Table::new(columns)?)])?;
    said(json!({}), rows, format!("{rows} rows in {}", arguments.out.display()), arguments, started, context)
}

pub(super) fn decode(arguments: &ToTable, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let (model, table) = open(&arguments.on, context)?;
    let names: Vec<String> =
        model.config().columns.columns.iter().map(|column| format!("z_{}", column.name)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (values, width) = rows_of(&table, &arguments.on.data, &names)?;
    let z = Matrix::new(values.into_iter().map(|value| value as f32).collect(), width);
    let condition = model.config().condition.encode(&table)?;
    let rows = write_table(&arguments.out, [Ok(model.decode(&z, &condition)?)])?;
    said(json!({}), rows, format!("{rows} rows in {}", arguments.out.display()), arguments, started, context)
}

/// The condition goes over from the first row's to the second's half way.
pub(super) fn interpolate(arguments: &Interpolate, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let (model, table) = open(&arguments.on, context)?;
    let ends = two_rows(&arguments.rows, table.rows())?;
    if arguments.count < 2 {
        return Err(Failure::request("-n must be at least 2: both ends are among the rows"));
    }
    let (cells, condition) = model.cells(&table.select(&ends))?;
    let ends = model.encode(&cells, &condition);
    let share = |place: usize| place as f32 / (arguments.count - 1) as f32;
    let values = (0..arguments.count).flat_map(|place| {
        let both = ends.row(0).iter().zip(ends.row(1));
        both.map(move |(a, b)| a + share(place) * (b - a))
    });
    let z = Matrix::new(values.collect(), cells.columns());
    let nearer: Vec<usize> = (0..arguments.count).map(|place| usize::from(share(place) > 0.5)).collect();
    let condition = if condition.columns() > 0 { condition.select(&nearer) } else { condition };
    let made = model.decode(&z, &condition)?;
    let json = json!({ "rows": arguments.count, "seconds": started.elapsed().as_secs_f64() });
    write_or_print(&made, None, arguments.out.as_deref(), json, context)
}

/// Says what was written.
fn said(
    mut json: Value,
    rows: usize,
    line: String,
    arguments: &ToTable,
    started: Instant,
    context: &Context,
) -> Result<(), Failure> {
    let seconds = started.elapsed().as_secs_f64();
    json["rows"] = rows.into();
    json["rows_per_second"] = (rows as f64 / seconds).into();
    json["out"] = arguments.out.display().to_string().into();
    json["seconds"] = seconds.into();
    Results::new(json).line(line).print(context.json())
}

pub(super) fn sample(arguments: &Sample, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let model = Model::open(&arguments.model, &context.device()?)?;
    if arguments.rows == 0 {
        return Err(Failure::request("-n must be at least 1"));
    }
    let condition = given(&model.config().condition, arguments.given.as_deref(), arguments.rows)?;
    let table = model.sample(arguments.rows, &condition, context.seed())?;
    let seconds = started.elapsed().as_secs_f64();
    let mut json = json!({
        "rows": arguments.rows,
        "rows_per_second": arguments.rows as f64 / seconds,
        "seconds": seconds,
    });
    let Some(out) = &arguments.out else {
        print_table(&table, json, context.json())?;
        return Ok(());
    };
    let rows = match model.config().image {
        Some(shape) if pictures::is_picture(out) => pictures::write(out, shape, &table)?,
        _ => write_table(out, [Ok(table)])?,
    };
    json["out"] = out.display().to_string().into();
    Results::new(json).line(format!("{rows} rows drawn, in {}", out.display())).print(context.json())
}
