//! `dozen word2vec embed`.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use dozen::data::{Column, Table, Values, write_table};
use dozen::text::word2vec::{Pooling, text_vectors};
use serde_json::json;

use super::model::open;
use super::query::Which;
use crate::context::Context;
use crate::output::{Failure, Results};
use crate::texts::Texts;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    texts: Texts,
    /// How the words of a text become its vector
    #[arg(long, value_enum, default_value_t = PoolingFlag::Mean, value_name = "HOW")]
    pooling: PoolingFlag,
    /// The a of sif: a word of relative frequency p weighs a / (a + p)
    #[arg(long, default_value_t = 1e-3, value_name = "A")]
    sif_a: f64,
    /// The file to write, a row for each line or text: .csv, .tsv, .parquet or .npy
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq)]
enum PoolingFlag {
    /// The mean
    Mean,
    /// Smooth inverse frequency, without the common direction
    Sif,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let vectors = open(&arguments.which.vectors, context)?;
    let started = Instant::now();
    let pooling = match arguments.pooling {
        PoolingFlag::Mean => Pooling::Mean,
        PoolingFlag::Sif => Pooling::Sif { a: arguments.sif_a },
    };
    if arguments.pooling == PoolingFlag::Sif {
        if vectors.dictionary().total() == 0 {
            return Err(Failure::request(
                "sif weighs words by how often they occur, which this file does not say; use a model folder",
            ));
        }
        if !(arguments.sif_a > 0.0 && arguments.sif_a.is_finite()) {
            return Err(Failure::request(format!("--sif-a must be positive, not {}", arguments.sif_a)));
        }
    }
    let mut texts: Vec<String> = Vec::new();
    arguments.texts.each(|part| {
        texts.extend(String::from_utf8_lossy(part).lines().map(str::to_owned));
        Ok(())
    })?;
    let words = texts.iter().map(|text| text.split_whitespace().collect());
    let (pooled, known) = text_vectors(&vectors, words, pooling);
    let rows = 0..pooled.rows() as u32;
    let column = |at: usize| {
        let values = rows.clone().map(|row| f64::from(pooled.row(row)[at])).collect();
        Column::new(format!("v{at}"), Values::Number(values))
    };
    write_table(&arguments.out, [Ok(Table::new((0..vectors.dim()).map(column).collect())?)])?;
    let without = known.iter().filter(|known| **known == 0).count();
    let json = json!({
        "texts": texts.len(),
        "texts_without_known_words": without,
        "known_words": known.iter().sum::<usize>(),
        "out": arguments.out.display().to_string(),
        "seconds": started.elapsed().as_secs_f64(),
    });
    let line = format!(
        "{} texts in {}; {without} have no known word, and vectors of zeros",
        texts.len(),
        arguments.out.display()
    );
    Results::new(json).line(line).print(context.json())
}
