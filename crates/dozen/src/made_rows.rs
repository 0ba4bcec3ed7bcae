//! Rows that a model of tables makes: the verb `sample` of those families, and where what was made goes.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use dozen::data::{Matrix, write_table};
use dozen::generative::TableModel;
use dozen::nn::Error;
use serde_json::{Value, json};

use crate::context::Context;
use crate::data::class_or_given;
use crate::output::{Failure, Results, print_table};
use crate::pictures;

/// How many rows a model is to draw.
#[derive(Args, Debug)]
pub(crate) struct Sample {
    /// A model folder
    pub(crate) model: PathBuf,
    /// Rows to draw
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    pub(crate) rows: usize,
    #[command(flatten)]
    pub(crate) made: Made,
}

/// Under which condition rows are made, and where they go.
#[derive(Args, Debug)]
pub(crate) struct Made {
    /// The class of a conditional model's rows
    #[arg(long, value_name = "VALUE", conflicts_with = "given")]
    class: Option<String>,
    /// For a conditional model: the condition's columns with the values of all rows
    #[arg(long, value_name = "COLUMN=VALUE,...")]
    given: Option<String>,
    #[command(flatten)]
    to: To,
}

/// Where rows go that a model made.
#[derive(Args, Debug)]
pub(crate) struct To {
    /// The table to write, or of images a .png with all of them [default: CSV on standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Sample {
    /// Draws rows of a model that `open` opens, as `draw` does, and writes them.
    pub(crate) fn run<M: TableModel>(
        &self,
        context: &Context,
        open: impl FnOnce(&Path) -> Result<M, Error>,
        draw: impl FnOnce(&M, usize, &Matrix) -> Result<Matrix, Error>,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        let rows = positive("-n", self.rows)?;
        let model = open(&self.model)?;
        self.made.write(&model, rows, started, context, |condition| draw(&model, rows, condition))
    }
}

impl Made {
    /// Makes rows under the condition, and writes them.
    pub(crate) fn write<M: TableModel>(
        &self,
        model: &M,
        rows: usize,
        started: Instant,
        context: &Context,
        make: impl FnOnce(&Matrix) -> Result<Matrix, Error>,
    ) -> Result<(), Failure> {
        let condition =
            class_or_given(model.condition(), self.class.as_deref(), self.given.as_deref(), rows)?;
        let cells = make(&condition)?;
        self.to.write(model, &cells, started, context)
    }
}

impl To {
    /// Writes encoded rows as a table, or of images as a picture if the file is to be one; without a file they are
    /// printed.
    pub(crate) fn write<M: TableModel>(
        &self,
        model: &M,
        cells: &Matrix,
        started: Instant,
        context: &Context,
    ) -> Result<(), Failure> {
        let (rows, seconds) = (cells.rows(), started.elapsed().as_secs_f64());
        let mut json: Value =
            json!({ "rows": rows, "rows_per_second": rows as f64 / seconds, "seconds": seconds });
        let Some(out) = &self.out else {
            return print_table(&model.table(cells)?, json, context.json());
        };
        match model.image() {
            Some(shape) if pictures::is_picture(out) => {
                pictures::write(out, shape, &model.brightness(cells)?)?;
            }
            _ => drop(write_table(out, [Ok(model.table(cells)?)])?),
        }
        json["out"] = out.display().to_string().into();
        Results::new(json).line(format!("{rows} rows in {}", out.display())).print(context.json())
    }
}

/// A count that a flag gives.
pub(crate) fn positive(flag: &str, count: usize) -> Result<usize, Failure> {
    if count == 0 { Err(Failure::request(format!("{flag} must be at least 1"))) } else { Ok(count) }
}
