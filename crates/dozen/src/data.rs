//! The flags about reading data, shared by all commands that read tables.

use clap::{Args, ValueEnum};
use dozen::data::{
    Binarize, Column, Fingerprint, Header, ReadOptions, Table, Values, read_table, split_rows,
};

use crate::output::Failure;

/// How to read a table.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Reading")]
pub(crate) struct ReadArguments {
    /// Whether the first line holds the names of the columns
    #[arg(long, value_enum, default_value_t = HeaderFlag::Auto, value_name = "WHEN")]
    header: HeaderFlag,
    /// Turn grey levels or probabilities into bits
    #[arg(long, value_enum, value_name = "HOW")]
    binarize: Option<BinarizeFlag>,
    /// Read at most this many rows
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum HeaderFlag {
    Auto,
    Yes,
    No,
}

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
            header: match self.header {
                HeaderFlag::Auto => Header::Auto,
                HeaderFlag::Yes => Header::Yes,
                HeaderFlag::No => Header::No,
            },
            binarize: self.binarize.map(|how| match how {
                BinarizeFlag::Threshold => Binarize::Threshold,
                BinarizeFlag::Stochastic => Binarize::Stochastic { seed },
            }),
            text,
            limit: self.limit,
        }
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
        let file = self.data.as_deref().ok_or_else(|| Failure::request("name the DATA to train on"))?;
        let options = self.read.options(seed, self.categorical.clone());
        let all = read_table(file, &options)?;
        if let Some(valid) = &self.valid {
            let files = vec![file.to_owned(), valid.clone()];
            return Ok(Parts { train: all, valid: read_table(valid, &options)?, test: None, files });
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
