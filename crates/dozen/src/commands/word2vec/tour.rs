//! The word2vec stop of the tour.

use std::path::Path;

use dozen::data::make;
use dozen::text::word2vec::{
    AnalogyScore, Config, CorpusReader, Done, Loss, Parameters, Subsampling, WordVectors, analogies, train,
};
use serde_json::json;

use super::page;
use crate::context::Context;
use crate::output::Failure;
use crate::tour_stop::{Check, Stop};

/// A language whose analogies are planted: they are what the vectors must give back.
pub(crate) fn tour(_: &Path, context: &Context) -> Result<Stop, Failure> {
    let made = make::text(40_000, 40, context.seed());
    let mut reader = CorpusReader::new();
    reader.read(made.text.as_bytes());
    let corpus = reader.finish(1, None)?;
    let config = Config {
        dim: 32,
        epochs: 3,
        shared_negatives: true,
        loss: Loss::Negative { count: 5, exponent: 0.75 },
        subsampling: Subsampling::None,
        seed: context.seed(),
        deterministic: true,
        ..Config::default()
    };
    let mut parameters = Parameters::new(&config, corpus.dictionary());
    let summary = train(&corpus, &config, &mut parameters, Done::default(), |_, _| true)?;
    let vectors = WordVectors::from_parameters(corpus.dictionary().clone(), &parameters, None)?;
    let sections = analogies(&vectors, &made.analogies, usize::MAX, AnalogyScore::CosAdd);
    let (correct, known) = sections.iter().fold((0, 0), |sum, one| (sum.0 + one.correct, sum.1 + one.known));
    let report = page::report(&vectors, &config, &summary, &[], context.command_line());
    let accuracy = correct as f64 / known as f64;
    let checks = vec![Check::new(
        accuracy > 0.6,
        format!(
            "vectors of {} words complete {correct} of {known} planted analogies",
            corpus.dictionary().len()
        ),
    )];
    let json = json!({ "words": corpus.words(), "analogies_known": known, "accuracy": accuracy });
    Ok(Stop { report, json, checks })
}
