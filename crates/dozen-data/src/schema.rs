//! The kinds of a table's columns, learnt from the training table and kept with the model.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Column, DataError, Matrix, Table, Values};

/// The most categories a column may have.
const MAX_LEVELS: usize = 1000;

/// What a column's values mean, and how they become numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// 0 or 1.
    Binary,
    /// One of `levels`, encoded as its place in that list.
    Categorical {
        /// The distinct texts, sorted; numbers by value.
        levels: Vec<String>,
    },
    /// A number, standardised to mean 0 and standard deviation 1 over the training rows.
    Real {
        /// Mean over the training rows.
        mean: f64,
        /// Standard deviation over the training rows.
        deviation: f64,
    },
}

/// One column: its name and kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnSchema {
    /// As in the table.
    pub name: String,
    /// What its values mean.
    #[serde(flatten)]
    pub kind: Kind,
}

/// The columns that a model was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Schema {
    /// In the order of the training table.
    pub columns: Vec<ColumnSchema>,
}

impl Schema {
    /// Learns the kinds: zeros and ones are binary, text is categorical, other numbers are real; columns named in
    /// `categorical` are categorical whatever they hold.
    ///
    /// # Errors
    /// When a column has one value only and is not binary, or too many categories.
    pub fn infer(table: &Table, categorical: &[String]) -> Result<Self, DataError> {
        if let Some(name) = categorical.iter().find(|name| table.column(name).is_none()) {
            return Err(missing(table, name));
        }
        let columns = table
            .columns()
            .iter()
            .map(|column| {
                let kind = infer_kind(table, column, categorical.contains(&column.name))?;
                Ok(ColumnSchema { name: column.name.clone(), kind })
            })
            .collect::<Result<_, DataError>>()?;
        Ok(Self { columns })
    }

    /// The names of the columns that must be read as text.
    pub fn text_columns(&self) -> Vec<String> {
        self.columns
            .iter()
            .filter(|column| matches!(column.kind, Kind::Categorical { .. }))
            .map(|column| column.name.clone())
            .collect()
    }

    /// Encodes a table: one `f32` a cell. Columns are found by name, or by position where the table has none of
    /// these names and the same width. Without columns there is nothing to encode.
    ///
    /// # Errors
    /// When a column is missing, or a value is not of the column's kind.
    pub fn encode(&self, table: &Table) -> Result<Matrix, DataError> {
        self.encode_cells(table, false)
    }

    /// The same of a table with missing cells, which become NaN.
    pub fn encode_with_missing(&self, table: &Table) -> Result<Matrix, DataError> {
        self.encode_cells(table, true)
    }

    fn encode_cells(&self, table: &Table, missing: bool) -> Result<Matrix, DataError> {
        let width = self.columns.len();
        if width == 0 {
            return Ok(Matrix::new(Vec::new(), 0));
        }
        let sources = self.sources(table)?;
        if table.rows() == 0 {
            return Ok(Matrix::new(Vec::new(), width));
        }
        let mut values = vec![0.0; table.rows() * width];
        for (j, (schema, source)) in self.columns.iter().zip(sources).enumerate() {
            let cells = values[j..].iter_mut().step_by(width);
            for (row, cell) in cells.enumerate() {
                if missing && source.values.is_missing(row) {
                    *cell = f32::NAN;
                    continue;
                }
                *cell = schema.encode(&source.values, row).map_err(|problem| {
                    DataError::content(
                        table.file(),
                        format!("row {}, column `{}`", table.row_in_file(row), schema.name),
                        problem,
                    )
                })?;
            }
        }
        Ok(Matrix::new(values, width))
    }

    /// The inverse of [`Schema::encode`].
    pub fn decode(&self, matrix: &Matrix) -> Result<Table, DataError> {
        let columns = self
            .columns
            .iter()
            .enumerate()
            .map(|(j, schema)| {
                let cells = (0..matrix.rows()).map(|row| matrix.row(row)[j]);
                let values = match &schema.kind {
                    Kind::Binary => Values::Byte(cells.map(|v| v as u8).collect()),
                    Kind::Categorical { levels } => {
                        Values::Text(cells.map(|v| levels[v as usize].clone()).collect())
                    }
                    Kind::Real { mean, deviation } => {
                        Values::Number(cells.map(|v| f64::from(v) * deviation + mean).collect())
                    }
                };
                Column::new(schema.name.clone(), values)
            })
            .collect();
        Table::new(columns)
    }

    /// The place of a column.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    fn sources<'a>(&self, table: &'a Table) -> Result<Vec<&'a Column>, DataError> {
        let found: Vec<_> = self.columns.iter().map(|schema| table.column(&schema.name)).collect();
        if found.iter().all(Option::is_none) && table.columns().len() == self.columns.len() {
            return Ok(table.columns().iter().collect());
        }
        if found.iter().all(Option::is_none) {
            return Err(DataError::content(
                table.file(),
                "",
                format!(
                    "the table has {} columns, the model was trained on {}",
                    table.columns().len(),
                    self.columns.len()
                ),
            ));
        }
        found
            .into_iter()
            .zip(&self.columns)
            .map(|(column, schema)| column.ok_or_else(|| missing(table, &schema.name)))
            .collect()
    }
}

impl ColumnSchema {
    /// The number of a text, as it would stand in a file; used for `--given COLUMN=VALUE`.
    ///
    /// # Errors
    /// When the text is no value of this column.
    pub fn encode_text(&self, text: &str) -> Result<f32, String> {
        let value = match text.parse::<f64>() {
            Ok(number) if !matches!(self.kind, Kind::Categorical { .. }) => Values::Number(vec![number]),
            _ => Values::Text(vec![text.to_owned()]),
        };
        self.encode(&value, 0)
    }

    fn encode(&self, values: &Values, row: usize) -> Result<f32, String> {
        match (&self.kind, values) {
            (Kind::Binary, Values::Byte(bytes)) if bytes[row] <= 1 => Ok(f32::from(bytes[row])),
            (Kind::Binary, Values::Number(numbers)) if numbers[row] == 0.0 || numbers[row] == 1.0 => {
                Ok(numbers[row] as f32)
            }
            (Kind::Binary, _) => {
                Err(format!("`{}` is neither 0 nor 1, the column's values in training", values.text(row)))
            }
            (Kind::Categorical { levels }, _) => {
                let text = values.text(row);
                levels.iter().position(|level| *level == text).map(|level| level as f32).ok_or_else(|| {
                    format!(
                        "`{text}` is none of the column's {} values in training: {}",
                        levels.len(),
                        shortened(levels)
                    )
                })
            }
            (Kind::Real { mean, deviation }, _) => match values.number(row) {
                Some(number) if number.is_finite() => Ok(((number - mean) / deviation) as f32),
                Some(number) => Err(format!("{number} is not a finite number")),
                None => Err(format!("`{}` is not a number", values.text(row))),
            },
        }
    }
}

fn missing(table: &Table, name: &str) -> DataError {
    let names: Vec<String> = table.columns().iter().map(|column| column.name.clone()).collect();
    DataError::content(
        table.file(),
        "",
        format!("there is no column `{name}`; the columns are {}", shortened(&names)),
    )
}

fn shortened(names: &[String]) -> String {
    match names {
        names if names.len() <= 12 => names.join(", "),
        names => format!("{}, ... {}", names[..11].join(", "), names[names.len() - 1]),
    }
}

fn infer_kind(table: &Table, column: &Column, categorical: bool) -> Result<Kind, DataError> {
    let fault =
        |problem: String| DataError::content(table.file(), format!("column `{}`", column.name), problem);
    match &column.values {
        Values::Byte(bytes) if !categorical && bytes.iter().all(|&b| b <= 1) => Ok(Kind::Binary),
        Values::Number(numbers)
            if !categorical && numbers.iter().all(|&v| v == 0.0 || v == 1.0 || v.is_nan()) =>
        {
            Ok(Kind::Binary)
        }
        Values::Text(_) => categories(&column.values).map_err(fault),
        values if categorical => categories(values).map_err(fault),
        values => real(values).map_err(fault),
    }
}

fn categories(values: &Values) -> Result<Kind, String> {
    let there = (0..values.len()).filter(|row| !values.is_missing(*row));
    let distinct: BTreeSet<String> = there.map(|row| values.text(row)).collect();
    if distinct.len() > MAX_LEVELS {
        return Err(format!(
            "{} different texts are too many for a category (at most {MAX_LEVELS}); leave the column out",
            distinct.len()
        ));
    }
    let mut levels: Vec<String> = distinct.into_iter().collect();
    if let Ok(mut numbers) = levels.iter().map(|l| l.parse::<f64>()).collect::<Result<Vec<_>, _>>()
        && numbers.iter().all(|v| v.is_finite())
    {
        let mut order: Vec<usize> = (0..levels.len()).collect();
        order.sort_by(|&a, &b| numbers[a].total_cmp(&numbers[b]));
        numbers.clear();
        levels = order.into_iter().map(|i| levels[i].clone()).collect();
    }
    Ok(Kind::Categorical { levels })
}

fn real(values: &Values) -> Result<Kind, String> {
    let numbers = || (0..values.len()).filter_map(|row| values.number(row)).filter(|value| !value.is_nan());
    let count = numbers().count() as f64;
    let mean = numbers().sum::<f64>() / count;
    let deviation = (numbers().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
    if deviation > 0.0 && deviation.is_finite() {
        Ok(Kind::Real { mean, deviation })
    } else {
        Err("every row has the same value, so that its density is infinite; leave the column out".into())
    }
}
