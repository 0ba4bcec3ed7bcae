//! `dozen word2vec convert`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use dozen::data::{Column, Table, Values, write_array, write_table, write_with};
use dozen::text::word2vec::WordVectors;
use dozen::text::word2vec::formats::{TextFormat, write_matrices, write_vectors};
use serde_json::json;

use super::model::{open, words_beside};
use super::query::Which;
use crate::context::Context;
use crate::output::{Failure, Results};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// The format to write
    #[arg(long, value_enum, value_name = "FORMAT")]
    to: Format,
    /// The file to write; a text or binary file that ends in .gz is compressed
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq)]
enum Format {
    /// word2vec.c's text, six decimals
    Word2vecText,
    /// word2vec.c's binary
    Word2vecBin,
    /// gensim's text, all digits; also fastText's .vec
    GensimText,
    /// gensim's binary, without ends of lines
    GensimBin,
    /// As gensim's text
    FasttextVec,
    /// Text without a header
    Glove,
    /// A NumPy array of 32-bit numbers, and a file FILE.words.txt
    Npy,
    /// A table with the columns word, count and v0, v1, ...
    Parquet,
    /// A tensor `vectors`, and a file FILE.words.txt
    Safetensors,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let vectors = open(&arguments.which.vectors, context)?;
    let out = &arguments.out;
    match arguments.to {
        Format::Word2vecText => write_file(&vectors, TextFormat::Word2vecText, out)?,
        Format::Word2vecBin => write_file(&vectors, TextFormat::Word2vecBinary, out)?,
        Format::GensimText | Format::FasttextVec => write_file(&vectors, TextFormat::GensimText, out)?,
        Format::GensimBin => write_file(&vectors, TextFormat::GensimBinary, out)?,
        Format::Glove => write_file(&vectors, TextFormat::Glove, out)?,
        Format::Npy => {
            let rows = 0..vectors.dictionary().len() as u32;
            let values = rows.flat_map(|row| vectors.vectors().row(row)).map(|value| value.to_le_bytes());
            write_array(out, "<f4", &[vectors.dictionary().len(), vectors.dim()], values)?;
            write_words(&vectors, out)?;
        }
        Format::Parquet => {
            write_table(out, [Ok(table(&vectors)?)])?;
        }
        Format::Safetensors => {
            write_matrices(out, &[("vectors", vectors.vectors())])?;
            write_words(&vectors, out)?;
        }
    }
    let json = json!({
        "words": vectors.dictionary().len(),
        "dim": vectors.dim(),
        "out": out.display().to_string(),
        "seconds": started.elapsed().as_secs_f64(),
    });
    let line =
        format!("{} vectors of {} values in {}", vectors.dictionary().len(), vectors.dim(), out.display());
    Results::new(json).line(line).print(context.json())
}

fn write_file(vectors: &WordVectors, format: TextFormat, path: &Path) -> Result<(), Failure> {
    Ok(write_with(path, |file| {
        if path.extension().is_some_and(|ending| ending == "gz") {
            let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::default());
            write_vectors(vectors, format, &mut packed)?;
            packed.finish().map(drop)
        } else {
            write_vectors(vectors, format, file)
        }
    })?)
}

fn write_words(vectors: &WordVectors, path: &Path) -> Result<(), Failure> {
    let words = words_beside(path);
    let text: String = vectors.dictionary().words().map(|word| format!("{word}\n")).collect();
    Ok(dozen::data::write_file(&words, text)?)
}

fn table(vectors: &WordVectors) -> Result<Table, Failure> {
    let rows = 0..vectors.dictionary().len() as u32;
    let counts = vectors.dictionary().counts().iter().map(|count| *count as f64).collect();
    let words = vectors.dictionary().words().map(str::to_owned).collect();
    let mut columns =
        vec![Column::new("word", Values::Text(words)), Column::new("count", Values::Number(counts))];
    columns.extend((0..vectors.dim()).map(|at| {
        let values = rows.clone().map(|row| f64::from(vectors.vectors().row(row)[at])).collect();
        Column::new(format!("v{at}"), Values::Number(values))
    }));
    Ok(Table::new(columns)?)
}
