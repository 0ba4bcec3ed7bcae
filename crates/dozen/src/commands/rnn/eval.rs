//! `dozen rnn eval`, and what training says of held-out data.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use dozen::sequence::{
    Cache, Confusion, Example, Model, Sequence, Shown, Target, Task, evaluate_examples, evaluate_forecast,
    evaluate_language, predict_classes, predict_tags,
};
use serde_json::{Value, json};

use super::data::{self, Labelled};
use crate::context::Context;
use crate::output::{Failure, Results};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A model folder
    model: PathBuf,
    /// Data as in training
    #[arg(value_name = "DATA", required = true)]
    data: Vec<String>,
    /// The column or field that holds texts
    #[arg(long, default_value = "text", value_name = "NAME")]
    text_column: String,
    /// The column that holds labels
    #[arg(long, default_value = "label", value_name = "NAME")]
    label_column: String,
    /// Of a series, evaluate rows from this one on, counted from 1; those before are only looked at
    #[arg(long, default_value_t = 2, value_name = "ROW")]
    from: usize,
    /// Let a language model remember this many steps and vote for what followed the like (neural cache)
    #[arg(long, value_name = "N")]
    cache: Option<usize>,
    /// The votes' share of the probability
    #[arg(long, default_value_t = 0.1, value_name = "P")]
    cache_share: f64,
    /// How much more a likelier state's vote weighs
    #[arg(long, default_value_t = 0.3, value_name = "S")]
    cache_sharpness: f64,
}

/// Data ready to be evaluated.
pub(super) enum Found {
    Text { ids: Vec<u32>, bytes: usize },
    Examples(Vec<Example>),
    Series { values: Vec<f64>, from: usize },
}

/// What an evaluation says: for programs, for people, for the report.
pub(super) struct Evaluated {
    pub(super) json: Value,
    pub(super) lines: Vec<String>,
    pub(super) table: Vec<(String, String)>,
    pub(super) shown: Vec<Shown>,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let model = Model::open(&arguments.model, &context.device()?)?;
    let found = arguments.read(&model)?;
    let Evaluated { mut json, lines, .. } = evaluate(&model, &found, arguments.cache()?)?;
    json["seconds"] = started.elapsed().as_secs_f64().into();
    Results::new(json).lines(lines).print(context.json())
}

impl Arguments {
    fn read(&self, model: &Model) -> Result<Found, Failure> {
        if model.config().task != Task::LanguageModel && self.data.len() > 1 {
            return Err(Failure::request("this model is evaluated on one file"));
        }
        let file = &self.data[0];
        Ok(match (&model.config().task, model.units()) {
            (Task::Classify { labels }, Some(units)) => {
                let labelled = Labelled::read(file, &self.text_column, &self.label_column)?;
                Found::Examples(labelled.examples(units, labels)?)
            }
            (Task::Tag { labels, .. }, Some(units)) => {
                Found::Examples(data::tagged_examples(&data::read_tagged(file)?, units, labels, file)?)
            }
            (Task::Forecast { columns }, _) => {
                let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
                let (_, values) = data::read_series(file, &names)?;
                let rows = values.len() / names.len();
                if !(2..=rows).contains(&self.from) {
                    return Err(Failure::request(format!(
                        "--from must lie between 2 and the {rows} rows of {file}, for a row is predicted from those before it"
                    )));
                }
                Found::Series { values, from: self.from - 1 }
            }
            (_, Some(units)) => {
                let text = data::read_text(&self.data, &self.text_column)?;
                let ids = units.encode(&text, file)?;
                let bytes = data::predicted_bytes(units, &text, &ids);
                Found::Text { ids, bytes }
            }
            (_, None) => unreachable!("texts have a vocabulary"),
        })
    }

    fn cache(&self) -> Result<Option<Cache>, Failure> {
        let Some(size) = self.cache else { return Ok(None) };
        if size == 0 || !(0.0..1.0).contains(&self.cache_share) {
            return Err(Failure::request("--cache must be at least 1, and --cache-share lie in [0, 1)"));
        }
        Ok(Some(Cache { size, share: self.cache_share, sharpness: self.cache_sharpness }))
    }
}

/// Evaluates a model on data of its task.
pub(super) fn evaluate(model: &Model, found: &Found, cache: Option<Cache>) -> Result<Evaluated, Failure> {
    match found {
        Found::Text { ids, bytes } => language(model, ids, *bytes, cache),
        Found::Examples(examples) => Ok(labels(model, examples)),
        Found::Series { values, from } => Ok(series(model, values, *from)),
    }
}

fn language(model: &Model, ids: &[u32], bytes: usize, cache: Option<Cache>) -> Result<Evaluated, Failure> {
    let found = evaluate_language(model, ids, bytes, cache)?;
    let (bits, perplexity) = (found.bits_per_byte(), found.perplexity());
    let name = model.units().map_or("units", |units| units.name());
    let one = name.trim_end_matches('s');
    Ok(Evaluated {
        json: json!({
            "nats_per_token": found.nats_per_token,
            "bits_per_byte": bits,
            "perplexity": perplexity,
            "tokens": found.tokens,
            "bytes": found.bytes,
        }),
        lines: vec![format!(
            "{:.4} nats a {one} (perplexity {perplexity:.3}), {bits:.4} bits a byte, over {} {name}",
            found.nats_per_token, found.tokens
        )],
        table: vec![
            (format!("nats a {one}"), format!("{:.4}", found.nats_per_token)),
            (format!("perplexity, by {one}"), format!("{perplexity:.3}")),
            ("bits a byte".into(), format!("{bits:.4}")),
            (name.into(), found.tokens.to_string()),
        ],
        shown: Vec::new(),
    })
}

/// Of labels: the loss, the accuracy, and for tags such as B-PER the F1 of whole spans.
fn labels(model: &Model, examples: &[Example]) -> Evaluated {
    let names = model.labels();
    let nats = evaluate_examples(model, examples)[0].1;
    let sequences: Vec<Sequence> = examples.iter().map(|example| example.input.clone()).collect();
    let said: Vec<Vec<u32>> = match model.config().task {
        Task::Tag { .. } => predict_tags(model, &sequences),
        _ => predict_classes(model, &sequences).iter().map(|shares| vec![likeliest(shares)]).collect(),
    };
    let truth: Vec<Vec<u32>> = examples.iter().map(|example| true_labels(&example.target)).collect();
    let pairs = truth.iter().flatten().copied().zip(said.iter().flatten().copied());
    let confusion = Confusion::of(names.len(), pairs);
    let accuracy = confusion.accuracy();
    let count: usize = truth.iter().map(Vec::len).sum();
    let mut json = json!({ "nats_per_label": nats, "accuracy": accuracy, "labels": count });
    let mut lines = vec![format!("accuracy {accuracy:.4}, {nats:.4} nats a label, over {count} labels")];
    let mut table =
        vec![("accuracy".into(), format!("{accuracy:.4}")), ("nats a label".into(), format!("{nats:.4}"))];
    if names.iter().any(|name| name.starts_with("B-")) {
        let name =
            |labels: &[u32]| labels.iter().map(|&label| names[label as usize].as_str()).collect::<Vec<_>>();
        let spans = |all: &[Vec<u32>]| all.iter().map(|labels| spans(&name(labels))).collect::<Vec<_>>();
        let f1 = span_f1(&spans(&truth), &spans(&said));
        json["span_f1"] = f1.into();
        lines.push(format!("F1 of whole spans {f1:.4}"));
        table.push(("F1 of whole spans".into(), format!("{f1:.4}")));
    }
    Evaluated { json, lines, table, shown: vec![Shown::Labels(confusion)] }
}

fn true_labels(target: &Target) -> Vec<u32> {
    match target {
        Target::Label(label) => vec![*label],
        Target::Labels(labels) => labels.clone(),
        Target::Numbers(_) | Target::NumbersByStep(_) => Vec::new(),
    }
}

/// The place of the greatest.
pub(super) fn likeliest(shares: &[f32]) -> u32 {
    (0..shares.len() as u32).max_by(|&a, &b| shares[a as usize].total_cmp(&shares[b as usize])).unwrap_or(0)
}

/// Spans of tags such as `B-PER`, `I-PER`: where each begins and ends, and its kind. An `I-` after another kind begins a span, as
/// `conlleval` has it.
fn spans(tags: &[&str]) -> Vec<(usize, usize, String)> {
    let mut spans: Vec<(usize, usize, String)> = Vec::new();
    for (at, tag) in tags.iter().enumerate() {
        let Some((place, kind)) = tag.split_once('-') else { continue };
        match spans.last_mut() {
            Some((_, end, last)) if place == "I" && *end == at && last == kind => *end = at + 1,
            _ => spans.push((at, at + 1, kind.to_owned())),
        }
    }
    spans
}

/// The harmonic mean of the shares of spans that are right among those said and among those there.
fn span_f1(truth: &[Vec<(usize, usize, String)>], said: &[Vec<(usize, usize, String)>]) -> f64 {
    let right: usize =
        truth.iter().zip(said).map(|(t, s)| s.iter().filter(|span| t.contains(span)).count()).sum();
    let all: usize = truth.iter().chain(said).map(Vec::len).sum();
    if all == 0 { 1.0 } else { 2.0 * right as f64 / all as f64 }
}

fn series(model: &Model, values: &[f64], from: usize) -> Evaluated {
    let errors = evaluate_forecast(model, values, from);
    let width = errors.errors.len();
    let rows = values.len() / width - from;
    let (mut json, mut lines, mut table) = (json!({ "rows": rows, "columns": {} }), Vec::new(), Vec::new());
    for error in &errors.errors {
        let [before, before_absolute] = error.persistence;
        json["columns"][&error.column] = json!({
            "root_mean_square_error": error.root_mean_square,
            "mean_absolute_error": error.mean_absolute,
            "persistence_root_mean_square_error": before,
            "persistence_mean_absolute_error": before_absolute,
        });
        lines.push(format!(
            "{}: root mean square error {:.5} one row ahead (taking the last row for the next: {before:.5})",
            error.column, error.root_mean_square
        ));
        table.push((
            format!("{}: root mean square error, and of taking the last row", error.column),
            format!("{:.5}, {before:.5}", error.root_mean_square),
        ));
    }
    let shown = errors.predicted.into_iter().enumerate().take(8).map(|(at, predicted)| Shown::Series {
        column: errors.errors[at].column.clone(),
        truth: (from..values.len() / width).map(|row| values[row * width + at]).collect(),
        predicted,
    });
    Evaluated { json, lines, table, shown: shown.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_conlleval_reads_them() {
        let found = spans(&["B-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-PER"]);
        let kinds: Vec<(usize, usize, &str)> =
            found.iter().map(|(a, b, kind)| (*a, *b, kind.as_str())).collect();
        assert_eq!(kinds, [(0, 2, "PER"), (3, 4, "LOC"), (4, 5, "LOC"), (5, 6, "PER")]);
        assert_eq!(span_f1(std::slice::from_ref(&found), &[found[..3].to_vec()]), 6.0 / 7.0);
    }
}
