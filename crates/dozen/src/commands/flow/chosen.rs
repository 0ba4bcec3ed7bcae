//! Which columns a flow models, and how.

use clap::Args;
use dozen::data::{ColumnSchema, ImageShape, Kind, Schema, Table, Values};

use crate::output::Failure;

/// Which columns are modelled, and how.
#[derive(Args, Debug)]
#[command(next_help_heading = "Columns")]
pub(super) struct Chosen {
    /// Columns to model [default: all but those of --condition]
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    columns: Vec<String>,
    /// Columns that the density is conditional on; numbers, bits or categories
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    condition: Vec<String>,
    /// Columns of whole numbers, which uniform noise makes continuous
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    dequantize: Vec<String>,
    /// Let a flow of its own make that noise, which makes the bound tighter (variational dequantization)
    #[arg(long)]
    variational: bool,
    /// The columns are the pixels of images of this shape, 28x28 or 3x32x32: whole numbers from 0 to 255
    #[arg(long, value_name = "SHAPE")]
    image: Option<ImageShape>,
}

/// The columns to model.
pub(super) struct Columns {
    pub(super) modelled: Schema,
    pub(super) condition: Schema,
    /// For each column modelled, whether it holds whole numbers.
    pub(super) whole: Vec<bool>,
    pub(super) image: Option<ImageShape>,
    pub(super) variational: bool,
}

/// Levels of a pixel.
const LEVELS: f64 = 256.0;

impl Chosen {
    /// The columns to model and those of the condition.
    pub(super) fn choose(&self, table: &Table, categorical: &[String]) -> Result<Columns, Failure> {
        let names: Vec<String> = table.columns().iter().map(|column| column.name.clone()).collect();
        for name in self.columns.iter().chain(&self.condition).chain(&self.dequantize) {
            if !names.contains(name) {
                return Err(Failure::request(format!(
                    "there is no column `{name}`; the columns are {}",
                    names.join(", ")
                )));
            }
        }
        let modelled = |name: &String| {
            !self.condition.contains(name) && (self.columns.is_empty() || self.columns.contains(name))
        };
        let part = |keep: &dyn Fn(&String) -> bool| -> Result<Schema, Failure> {
            let columns = table.columns().iter().filter(|column| keep(&column.name)).cloned().collect();
            let kept: Table = Table::new(columns)?.from_file(table.file(), table.row_in_file(0));
            let categorical: Vec<String> = categorical.iter().filter(|name| keep(name)).cloned().collect();
            Ok(Schema::infer(&kept, &categorical)?)
        };
        let condition = if self.condition.is_empty() {
            Schema { columns: Vec::new() }
        } else {
            part(&|name| self.condition.contains(name))?
        };
        let variational = self.variational;
        if let Some(shape) = self.image {
            let modelled = self.pixels(table, shape)?;
            let whole = vec![true; shape.size()];
            return Ok(Columns { modelled, condition, whole, image: Some(shape), variational });
        }
        if variational && self.dequantize.is_empty() {
            return Err(Failure::request(
                "--variational is about the columns of --dequantize, or --image; name them",
            ));
        }
        let columns = part(&modelled)?;
        for column in &columns.columns {
            let whole = self.dequantize.contains(&column.name);
            let advice = format!(
                "leave it out with --columns, make it a --condition, or model the table with `dozen autoregressive`; whole numbers may be given \
                 with --dequantize {}",
                column.name
            );
            match &column.kind {
                Kind::Real { .. } if whole => check_whole(table, &column.name)?,
                Kind::Real { .. } => {}
                Kind::Binary if whole => {}
                Kind::Binary => {
                    return Err(Failure::request(format!(
                        "column `{}` has only zeros and ones, of which a flow has no density: {advice}",
                        column.name
                    )));
                }
                Kind::Categorical { .. } => {
                    return Err(Failure::request(format!(
                        "column `{}` is categorical, and a flow models numbers: {advice}",
                        column.name
                    )));
                }
            }
        }
        let whole = columns.columns.iter().map(|column| self.dequantize.contains(&column.name)).collect();
        Ok(Columns { modelled: columns, condition, whole, image: None, variational })
    }

    /// The pixels of images.
    fn pixels(&self, table: &Table, shape: ImageShape) -> Result<Schema, Failure> {
        let mut names = if self.columns.is_empty() { table.pixel_columns() } else { self.columns.clone() };
        if names.is_empty() {
            names = table.columns().iter().map(|column| column.name.clone()).collect();
        }
        names.retain(|name| !self.condition.contains(name));
        if shape.size() != names.len() {
            return Err(Failure::request(format!(
                "images of {shape} have {} values, and there are {} columns; name the pixels' with --columns",
                shape.size(),
                names.len()
            )));
        }
        for name in &names {
            check_levels(table, name)?;
        }
        let kind = Kind::Real { mean: 0.0, deviation: LEVELS };
        let columns = names.into_iter().map(|name| ColumnSchema { name, kind: kind.clone() }).collect();
        Ok(Schema { columns })
    }
}

fn check_levels(table: &Table, name: &str) -> Result<(), Failure> {
    let broken = match table.column(name).map(|column| &column.values) {
        Some(Values::Number(values)) => {
            let level = |value: &f64| value.fract() == 0.0 && (0.0..LEVELS).contains(value);
            values.iter().position(|value| !level(value)).map(|row| (row, values[row].to_string()))
        }
        Some(Values::Text(values)) => values.first().map(|text| (0, format!("`{text}`"))),
        Some(Values::Byte(_)) | None => None,
    };
    let Some((row, value)) = broken else { return Ok(()) };
    Err(Failure::request(format!(
        "row {}, column `{name}`: {value} is no level of a pixel; --image takes whole numbers from 0 to 255",
        table.row_in_file(row)
    )))
}

fn check_whole(table: &Table, name: &str) -> Result<(), Failure> {
    let Some(column) = table.column(name) else { return Ok(()) };
    let broken = match &column.values {
        Values::Number(values) => values.iter().position(|value| value.fract() != 0.0),
        _ => None,
    };
    match broken {
        Some(row) => Err(Failure::request(format!(
            "row {}, column `{name}` of --dequantize: {} is no whole number",
            table.row_in_file(row),
            column.values.text(row)
        ))),
        None => Ok(()),
    }
}
