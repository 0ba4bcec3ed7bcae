//! Where vectors are: a model folder, or a file of any format.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use dozen::data::{DataError, Matrix as Numbers, ReadOptions, Values, ending, open_stream, read_table};
use dozen::text::word2vec::formats::{read_fast_text, read_matrices, read_vectors};
use dozen::text::word2vec::{Dictionary, Matrix, Model, WordVectors};

use crate::context::Context;
use crate::output::Failure;

/// Opens a model folder or a file.
pub(crate) fn open(path: &Path, context: &Context) -> Result<WordVectors, Failure> {
    if path.is_dir() || !path.exists() {
        return Ok(Model::open(path)?.vectors()?);
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
