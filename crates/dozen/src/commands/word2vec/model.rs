//! Where vectors are: a model folder, or a file of any format.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use dozen::data::{
    DataError, Fingerprint, Matrix as Numbers, ReadOptions, Values, ending, open_stream, read_table,
    write_with,
};
use dozen::nn::{ModelFolder, RunFolder};
use dozen::text::word2vec::formats::{read_fast_text, read_matrices, read_vectors, write_matrices};
use dozen::text::word2vec::{Config, Dictionary, Matrix, Parameters, WordVectors};
use serde::{Deserialize, Serialize};

use crate::args::Context;
use crate::output::Failure;

/// The family's name in `config.json`.
const FAMILY: &str = "word2vec";
/// Words and counts, a line each, in the order of the rows.
const VOCABULARY: &str = "vocabulary.txt";

/// `config.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) model: Config,
    pub(super) training: Corpus,
    pub(super) data: Vec<Fingerprint>,
}

/// What the vectors were learnt from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Corpus {
    pub(super) words: u64,
    pub(super) words_read: u64,
    pub(super) min_count: u64,
}

/// A model that training can go on with.
pub(super) struct Model {
    pub(super) saved: Saved,
    pub(super) dictionary: Dictionary,
    pub(super) parameters: Parameters,
}

impl Model {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let folder = ModelFolder::open(path)?;
        let saved: Saved = folder.config_of(FAMILY)?;
        saved.model.check()?;
        let words = path.join(VOCABULARY);
        let file =
            File::open(&words).map_err(|error| DataError::read(&words.display().to_string(), error))?;
        let dictionary = Dictionary::read(&words.display().to_string(), BufReader::new(file))?;
        let [input, output] = read_matrices(&folder.weights(), ["input", "output"])?;
        Ok(Self { saved, dictionary, parameters: Parameters { input, output } })
    }

    /// Writes all but the report into a run's folder.
    pub(super) fn write(&self, run: &RunFolder) -> Result<(), Failure> {
        ModelFolder::write_config(run, FAMILY, &self.saved)?;
        let words = run.path().join(VOCABULARY);
        write_with(&words, |file| self.dictionary.write(file))?;
        write_parameters(&run.path().join("model.safetensors"), &self.parameters)
    }

    pub(super) fn vectors(self) -> Result<WordVectors, Failure> {
        Ok(WordVectors::from_parameters(self.dictionary, &self.parameters, self.saved.model.subwords)?)
    }
}

pub(super) fn write_parameters(path: &Path, parameters: &Parameters) -> Result<(), Failure> {
    Ok(write_matrices(path, &[("input", &parameters.input), ("output", &parameters.output)])?)
}

/// Opens a model folder or a file.
pub(crate) fn open(path: &Path, context: &Context) -> Result<WordVectors, Failure> {
    if path.is_dir() || !path.exists() {
        return Model::open(path)?.vectors();
    }
    let file = path.display().to_string();
    match &ending(&file)[..] {
        "npy" => {
            let table = read_table(&file, &ReadOptions::default())?;
            let numbers = table.to_matrix()?;
            beside(path, matrix(&numbers))
        }
        "safetensors" => {
            let [vectors] = read_matrices(path, ["vectors"])?;
            beside(path, vectors)
        }
        "parquet" | "csv" | "tsv" => from_table(&file),
        _ => {
            let mut stream = open_stream(&file)?;
            let start = stream.fill_buf().map_err(|error| DataError::read(&file, error))?;
            // 793712314, fastText's first four bytes.
            if start.starts_with(&[0xba, 0x16, 0x4f, 0x2f]) {
                return Ok(read_fast_text(&file, stream)?);
            }
            let read = read_vectors(&file, stream)?;
            if !read.repeated.is_empty() {
                let some: Vec<&str> = read.repeated.iter().take(5).map(String::as_str).collect();
                context.progress().say(&format!(
                    "{} words came a second time and were left out: {} ...",
                    read.repeated.len(),
                    some.join(", ")
                ));
            }
            Ok(read.vectors)
        }
    }
}

fn matrix(numbers: &Numbers) -> Matrix {
    let mut matrix = Matrix::zeros(numbers.rows(), numbers.columns());
    for row in 0..numbers.rows() {
        matrix.row_mut(row as u32).copy_from_slice(numbers.row(row));
    }
    matrix
}

/// The file of words that goes with a file of vectors alone.
pub(super) fn words_beside(path: &Path) -> PathBuf {
    path.with_extension("words.txt")
}

fn beside(path: &Path, vectors: Matrix) -> Result<WordVectors, Failure> {
    let words = words_beside(path);
    let text = std::fs::read_to_string(&words).map_err(|error| {
        Failure::request(format!(
            "{} has vectors alone; its words should be in {}, a line each: {error}",
            path.display(),
            words.display()
        ))
    })?;
    Ok(WordVectors::new(Dictionary::new(text.lines().map(|word| (word, 0)))?, vectors)?)
}

/// A column `word`, perhaps one `count`, and a column for each value.
fn from_table(file: &str) -> Result<WordVectors, Failure> {
    let options = ReadOptions { text: vec!["word".into()], ..ReadOptions::default() };
    let table = read_table(file, &options)?;
    let Some(words) = table.column("word") else {
        return Err(Failure::request(format!("{file}: there is no column `word`")));
    };
    let counts = table.column("count").map(|column| &column.values);
    let count = |row: usize| counts.and_then(|counts: &Values| counts.number(row)).unwrap_or(0.0) as u64;
    let dictionary = Dictionary::new((0..table.rows()).map(|row| (words.values.text(row), count(row))))?;
    let columns: Vec<_> =
        table.columns().iter().filter(|column| !["word", "count"].contains(&&column.name[..])).collect();
    let mut vectors = Matrix::zeros(table.rows(), columns.len());
    for row in 0..table.rows() {
        for (value, column) in vectors.row_mut(row as u32).iter_mut().zip(&columns) {
            *value = column.values.number(row).map_or(f32::NAN, |number| number as f32);
        }
    }
    Ok(WordVectors::new(dictionary, vectors)?)
}
