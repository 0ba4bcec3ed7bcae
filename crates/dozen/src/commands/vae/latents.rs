//! `dozen vae encode`, `decode` and `interpolate`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use dozen::data::{Column, Matrix, Table, write_table};
use dozen::generative::vae::Model;
use serde_json::json;

use super::apply::{open, write_or_print};
use crate::args::Context;
use crate::data::{OnData, number_column, rows_of, two_rows};
use crate::output::{Failure, Results};

#[derive(Args, Debug)]
pub(crate) struct Encode {
    #[command(flatten)]
    on: OnData,
    /// The table to write, a row for each row: .csv, .tsv, .parquet or .npy
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct Decode {
    /// A model folder
    model: PathBuf,
    /// A table with columns z_1, z_2 and so on, and the condition's
    latents: String,
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
    /// Along a great circle instead of straight
    #[arg(long)]
    spherical: bool,
    /// The table to write, or of images a .png with all of them [default: CSV on standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn latent_names(model: &Model) -> Vec<String> {
    (1..=model.config().model.latent).map(|column| format!("z_{column}")).collect()
}

pub(super) fn encode(arguments: &Encode, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let (model, table) = open(&arguments.on, context)?;
    let (cells, condition) = model.cells(&table)?;
    let z = model.encode(&cells, &condition);
    let mut columns: Vec<Column> = latent_names(&model)
        .iter()
        .enumerate()
        .map(|(at, name)| number_column(name, (0..z.rows()).map(|row| f64::from(z.row(row)[at]))))
        .collect();
    // The condition goes along, so that `decode` has it.
    let conditions = model.config().condition.columns.iter();
    columns.extend(conditions.filter_map(|column| table.column(&column.name).cloned()));
    let rows = write_table(&arguments.out, [Ok(Table::new(columns)?)])?;
    let (seconds, out) = (started.elapsed().as_secs_f64(), arguments.out.display().to_string());
    let json =
        json!({ "rows": rows, "rows_per_second": rows as f64 / seconds, "out": out, "seconds": seconds });
    Results::new(json).line(format!("{rows} rows in {out}")).print(context.json())
}

pub(super) fn decode(arguments: &Decode, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let model = Model::open(&arguments.model, &context.device()?)?;
    let options = dozen::data::ReadOptions {
        text: model.config().condition.text_columns(),
        ..dozen::data::ReadOptions::default()
    };
    let table = dozen::data::read_table(&arguments.latents, &options)?;
    let names = latent_names(&model);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (values, width) = rows_of(&table, &arguments.latents, &names)?;
    let z = Matrix::new(values.into_iter().map(|value| value as f32).collect(), width);
    let condition = model.config().condition.encode(&table)?;
    let cells = model.decode(&z, &condition);
    let mut json = json!({ "rows": z.rows(), "seconds": started.elapsed().as_secs_f64() });
    write_or_print(&model, cells, arguments.out.as_deref(), &mut json, context)
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
    let shares: Vec<f32> =
        (0..arguments.count).map(|place| place as f32 / (arguments.count - 1) as f32).collect();
    let way = |share: &f32| between(ends.row(0), ends.row(1), *share, arguments.spherical);
    let z = Matrix::new(shares.iter().flat_map(way).collect(), ends.columns());
    let nearer: Vec<usize> = shares.iter().map(|share| usize::from(*share > 0.5)).collect();
    let condition = if condition.columns() > 0 { condition.select(&nearer) } else { condition };
    let cells = model.decode(&z, &condition);
    let mut json = json!({ "rows": arguments.count, "seconds": started.elapsed().as_secs_f64() });
    write_or_print(&model, cells, arguments.out.as_deref(), &mut json, context)
}

/// A place on the way from `a` to `b`: straight, or turning as `sin((1 - t) w) a + sin(t w) b`, over `sin w`, with the angle w between them
/// (Shoemake 1985).
fn between(a: &[f32], b: &[f32], share: f32, spherical: bool) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    let angle = if norms > 0.0 { (dot(a, b) / norms).clamp(-1.0, 1.0).acos() } else { 0.0 };
    let (from, to) = if spherical && angle.sin() > 1e-4 {
        (((1.0 - share) * angle).sin() / angle.sin(), (share * angle).sin() / angle.sin())
    } else {
        (1.0 - share, share)
    };
    a.iter().zip(b).map(|(a, b)| from * a + to * b).collect()
}
