//! `dozen word2vec nearest`, `analogy`, `similarity` and `doesnt-match`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use dozen::text::word2vec::{AnalogyScore, Neighbour, WordVectors};
use serde_json::json;

use super::model::open;
use crate::context::Context;
use crate::output::{Failure, Results};

/// Which vectors.
#[derive(Args, Debug)]
pub(super) struct Which {
    /// A model folder, or a file: word2vec or gensim text or binary, fastText .vec or .bin, GloVe, .npy, .safetensors, .parquet
    #[arg(value_name = "VECTORS")]
    pub(super) vectors: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct NearestArguments {
    #[command(flatten)]
    which: Which,
    /// A word, or several, whose mean is taken
    #[arg(value_name = "WORD", required = true)]
    words: Vec<String>,
    /// How many words
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    count: usize,
}

pub(super) fn nearest(arguments: &NearestArguments, context: &Context) -> Result<(), Failure> {
    let vectors = open(&arguments.which.vectors, context)?;
    let started = Instant::now();
    let words: Vec<&str> = arguments.words.iter().map(String::as_str).collect();
    let found = vectors.nearest(&words, arguments.count)?;
    print_neighbours(&vectors, &found, "cosine", started, context)
}

fn print_neighbours(
    vectors: &WordVectors,
    found: &[Neighbour],
    score: &str,
    started: Instant,
    context: &Context,
) -> Result<(), Failure> {
    let word = |one: &Neighbour| vectors.dictionary().word(one.word).to_owned();
    let json: Vec<_> = found.iter().map(|one| json!({ "word": word(one), score: one.score })).collect();
    let lines = found.iter().map(|one| format!("{:8.4}  {}", one.score, word(one)));
    let seconds = started.elapsed().as_secs_f64();
    Results::new(json!({ "nearest": json, "seconds": seconds })).lines(lines).print(context.json())
}

#[derive(Args, Debug)]
pub(crate) struct AnalogyArguments {
    #[command(flatten)]
    which: Which,
    /// A is to B ...
    a: String,
    /// B
    b: String,
    /// ... as C is to what?
    c: String,
    /// How many words
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    count: usize,
    /// How candidates are scored
    #[arg(long, value_enum, default_value_t = AnalogyScore::CosAdd, value_name = "HOW")]
    score: AnalogyScore,
}

pub(super) fn analogy(arguments: &AnalogyArguments, context: &Context) -> Result<(), Failure> {
    let vectors = open(&arguments.which.vectors, context)?;
    let started = Instant::now();
    let AnalogyArguments { a, b, c, count, score, .. } = arguments;
    let found = vectors.analogy(&[b, c], &[a], *count, *score)?;
    print_neighbours(&vectors, &found, "score", started, context)
}

#[derive(Args, Debug)]
pub(crate) struct SimilarityArguments {
    #[command(flatten)]
    which: Which,
    /// A word
    a: String,
    /// Another
    b: String,
}

pub(super) fn similarity(arguments: &SimilarityArguments, context: &Context) -> Result<(), Failure> {
    let vectors = open(&arguments.which.vectors, context)?;
    let started = Instant::now();
    let cosine = vectors.similarity(&arguments.a, &arguments.b)?;
    let json = json!({ "cosine": cosine, "seconds": started.elapsed().as_secs_f64() });
    Results::new(json).line(format!("{cosine:.4}")).print(context.json())
}

#[derive(Args, Debug)]
pub(crate) struct DoesntMatchArguments {
    #[command(flatten)]
    which: Which,
    /// At least two words
    #[arg(value_name = "WORD", required = true, num_args = 2..)]
    words: Vec<String>,
}

pub(super) fn doesnt_match(arguments: &DoesntMatchArguments, context: &Context) -> Result<(), Failure> {
    let vectors = open(&arguments.which.vectors, context)?;
    let started = Instant::now();
    let words: Vec<&str> = arguments.words.iter().map(String::as_str).collect();
    let odd = vectors.doesnt_match(&words)?;
    let json = json!({ "word": odd, "seconds": started.elapsed().as_secs_f64() });
    Results::new(json).line(odd).print(context.json())
}
