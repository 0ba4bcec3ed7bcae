//! The flags about reading data, shared by all commands that read tables.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dozen::data::{
    Binarize, Column, Fingerprint, Header, Matrix, ReadOptions, Schema, Table, Values, read_table, split_rows,
};

use crate::output::Failure;

/// The places of the two rows, counted from 1, that --rows names, of a table of so many.
pub(crate) fn two_rows(named: &[usize], rows: usize) -> Result<[usize; 2], Failure> {
    let [a, b] = *named else {
        return Err(Failure::request("--rows takes two rows, as in --rows 1,2"));
    };
    match [a, b].into_iter().find(|row| !(1..=rows).contains(row)) {
        Some(row) => Err(Failure::request(format!("there is no row {row}; the table has rows 1 to {rows}"))),
        None => Ok([a - 1, b - 1]),
    }
}

/// How to read a table.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Reading")]
pub(crate) struct ReadArguments {
    /// Whether the first line holds the names of the columns
    #[arg(long, value_enum, default_value_t = Header::Auto, value_name = "WHEN")]
    header: Header,
    /// Turn grey levels or probabilities into bits
    #[arg(long, value_enum, value_name = "HOW")]
    binarize: Option<BinarizeFlag>,
    /// Read at most this many rows
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// A file of one column, the class of each row, which becomes the column `label`
    #[arg(long, value_name = "FILE")]
    labels: Option<String>,
}

/// A model and rows for it.
#[derive(Args, Debug)]
pub(crate) struct OnData {
    /// A model folder
    pub(crate) model: PathBuf,
    /// A table with the model's columns
    pub(crate) data: String,
    #[command(flatten)]
    pub(crate) read: ReadArguments,
}

/// The same, and where what is found of each row goes.
#[derive(Args, Debug)]
pub(crate) struct ToTable {
    #[command(flatten)]
    pub(crate) on: OnData,
    /// The table to write, a row for each row: .csv, .tsv, .parquet or .npy
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// The column that --labels adds.
pub(crate) const LABEL: &str = "label";

#[derive(ValueEnum, Debug, Clone, Copy)]
enum BinarizeFlag {
    /// One at and above one half
    Threshold,
    /// One with the level as its probability, drawn by the seed
    Stochastic,
}

impl ReadArguments {
    /// The options; the columns in `text` are read as text whatever they hold.
    pub(crate) fn options(&self, seed: u64, text: Vec<String>) -> ReadOptions {
        ReadOptions {
            header: self.header,
            binarize: self.binarize.map(|how| match how {
                BinarizeFlag::Threshold => Binarize::Threshold,
                BinarizeFlag::Stochastic => Binarize::Stochastic { seed },
            }),
            text,
            limit: self.limit,
            missing: false,
        }
    }

    /// Reads a table and the labels that go with it.
    pub(crate) fn read(&self, path: &str, seed: u64, text: Vec<String>) -> Result<Table, Failure> {
        self.read_with(path, self.options(seed, text), self.labels.as_deref())
    }

    /// The same of a table whose cells may be missing.
    pub(crate) fn read_with_missing(
        &self,
        path: &str,
        seed: u64,
        text: Vec<String>,
    ) -> Result<Table, Failure> {
        let options = ReadOptions { missing: true, ..self.options(seed, text) };
        self.read_with(path, options, self.labels.as_deref())
    }

    fn read_with(
        &self,
        path: &str,
        mut options: ReadOptions,
        labels: Option<&str>,
    ) -> Result<Table, Failure> {
        let Some(labels) = labels else { return Ok(read_table(path, &options)?) };
        // That column comes from another file.
        options.text.retain(|name| name != LABEL);
        let table = read_table(path, &options)?;
        let of_labels = ReadOptions { limit: self.limit, ..ReadOptions::default() };
        let classes = read_table(labels, &of_labels)?;
        let [classes] = classes.columns() else {
            return Err(Failure::request(format!(
                "`{labels}` has {} columns; labels are one",
                classes.columns().len()
            )));
        };
        if classes.values.len() != table.rows() {
            return Err(Failure::request(format!(
                "`{path}` has {} rows and `{labels}` {} labels; each row needs one",
                table.rows(),
                classes.values.len()
            )));
        }
        let texts = (0..table.rows()).map(|row| classes.values.text(row)).collect();
        let mut columns: Vec<Column> =
            table.columns().iter().filter(|column| column.name != LABEL).cloned().collect();
        columns.push(Column::new(LABEL, Values::Text(texts)));
        Ok(Table::new(columns)?.from_file(table.file(), table.row_in_file(0)))
    }
}

/// Where training and held-out rows come from.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Data")]
pub(crate) struct TrainingData {
    /// Training rows: CSV, TSV or blank-separated text, Parquet, NPY, FILE.npz:KEY or IDX; gz, bz2 and zst are undone
    #[arg(value_name = "DATA", required_unless_present = "resume")]
    data: Option<String>,
    /// Held-out rows, for early stopping
    #[arg(long, value_name = "FILE", conflicts_with = "split")]
    valid: Option<String>,
    /// The labels of --valid
    #[arg(long, value_name = "FILE", requires = "valid")]
    valid_labels: Option<String>,
    /// Fractions of DATA for training, validation and, if three, testing [default without --valid: 0.9,0.1]
    #[arg(long, value_name = "F,F[,F]", value_delimiter = ',')]
    split: Option<Vec<f64>>,
    /// Columns of numbers that are categories
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    pub(crate) categorical: Vec<String>,
    #[command(flatten)]
    read: ReadArguments,
}

/// Tables for training, validation and testing.
pub(crate) struct Parts {
    pub(crate) train: Table,
    pub(crate) valid: Table,
    pub(crate) test: Option<Table>,
    pub(crate) files: Vec<String>,
}

impl Parts {
    /// What tells the files from others, but for standard input.
    pub(crate) fn fingerprints(&self) -> Result<Vec<Fingerprint>, Failure> {
        let files = self.files.iter().filter(|file| *file != "-");
        Ok(files.map(|file| Fingerprint::of(file)).collect::<Result<_, _>>()?)
    }
}

impl TrainingData {
    /// Reads and splits.
    pub(crate) fn read(&self, seed: u64) -> Result<Parts, Failure> {
        self.read_parts(seed, false)
    }

    /// The same of tables whose cells may be missing.
    pub(crate) fn read_with_missing(&self, seed: u64) -> Result<Parts, Failure> {
        self.read_parts(seed, true)
    }

    fn read_parts(&self, seed: u64, missing: bool) -> Result<Parts, Failure> {
        let file = self.data.as_deref().ok_or_else(|| Failure::request("name the DATA to train on"))?;
        let options = ReadOptions { missing, ..self.read.options(seed, self.categorical.clone()) };
        let all = self.read.read_with(file, options.clone(), self.read.labels.as_deref())?;
        if let Some(valid) = &self.valid {
            let files = vec![file.to_owned(), valid.clone()];
            let valid = self.read.read_with(valid, options, self.valid_labels.as_deref())?;
            return Ok(Parts { train: all, valid, test: None, files });
        }
        let fractions = self.split.clone().unwrap_or_else(|| vec![0.9, 0.1]);
        if !(2..=3).contains(&fractions.len()) {
            return Err(Failure::request("--split takes two or three fractions, as in --split 0.8,0.1,0.1"));
        }
        let parts = split_rows(all.rows(), &fractions, seed)?;
        Ok(Parts {
            train: all.select(&parts[0]),
            valid: all.select(&parts[1]),
            test: parts.get(2).map(|rows| all.select(rows)),
            files: vec![file.to_owned()],
        })
    }
}

/// A column as numbers.
pub(crate) fn numbers(table: &Table, name: &str, path: &str) -> Result<Vec<f64>, Failure> {
    let column = table.column(name);
    let column = column.ok_or_else(|| Failure::request(format!("{path} has no column `{name}`")))?;
    match &column.values {
        Values::Byte(values) => Ok(values.iter().map(|&value| f64::from(value)).collect()),
        Values::Number(values) => Ok(values.clone()),
        Values::Text(_) => Err(Failure::request(format!(
            "{path}: column `{name}` holds text; coordinates and weights are numbers (--columns names those to take)"
        ))),
    }
}

/// Some columns as rows, or all if none are named; and how many columns those are.
pub(crate) fn rows_of(table: &Table, path: &str, names: &[&str]) -> Result<(Vec<f64>, usize), Failure> {
    let all: Vec<&str> = table.columns().iter().map(|column| column.name.as_str()).collect();
    let names = if names.is_empty() { &all[..] } else { names };
    if let [name] = names {
        return Ok((numbers(table, name, path)?, 1));
    }
    let columns = names.iter().map(|name| numbers(table, name, path)).collect::<Result<Vec<_>, _>>()?;
    let rows = (0..table.rows()).flat_map(|row| columns.iter().map(move |column| column[row]));
    Ok((rows.collect(), columns.len()))
}

/// A column of numbers.
pub(crate) fn number_column(name: &str, values: impl IntoIterator<Item = f64>) -> Column {
    Column::new(name, Values::Number(values.into_iter().collect()))
}

/// The condition that all rows are drawn under.
pub(crate) fn given(schema: &Schema, given: Option<&str>, rows: usize) -> Result<Matrix, Failure> {
    let names: Vec<&str> = schema.columns.iter().map(|column| column.name.as_str()).collect();
    let mut cells = vec![None; names.len()];
    for pair in given.into_iter().flat_map(|given| given.split(',')) {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            Failure::request(format!("--given takes COLUMN=VALUE, separated by commas, not `{pair}`"))
        })?;
        let at = schema.position(name).ok_or_else(|| {
            Failure::request(format!(
                "`{name}` is no column of the condition, which has {}",
                names.join(", ")
            ))
        })?;
        let cell = schema.columns[at].encode_text(value);
        cells[at] = Some(cell.map_err(|problem| Failure::request(format!("--given {name}: {problem}")))?);
    }
    let missing = cells.iter().position(Option::is_none);
    if let Some(at) = missing {
        return Err(Failure::request(format!(
            "the model is conditional on {}; give a value of `{}` with --given",
            names.join(", "),
            names[at]
        )));
    }
    let row: Vec<f32> = cells.into_iter().flatten().collect();
    Ok(Matrix::new(row.repeat(rows), names.len()))
}

/// The condition that all rows are drawn under, which may be named as the `class` of a model that is conditional on one column.
pub(crate) fn class_or_given(
    schema: &Schema,
    class: Option<&str>,
    given_pairs: Option<&str>,
    rows: usize,
) -> Result<Matrix, Failure> {
    let named = match (class, &schema.columns[..]) {
        (None, _) => return given(schema, given_pairs, rows),
        (Some(class), [column]) => format!("{}={class}", column.name),
        (Some(_), columns) => {
            return Err(Failure::request(format!(
                "--class is for models conditional on one column, and this one is on {}",
                columns.len()
            )));
        }
    };
    given(schema, Some(&named), rows)
}
