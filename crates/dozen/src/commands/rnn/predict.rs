//! `dozen rnn predict`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use dozen::data::{Column, Table, Values, write_table};
use dozen::sequence::{Model, Sequence, Task, forecast, predict_classes, predict_tags};
use serde_json::{Value, json};

use super::data;
use super::eval::likeliest;
use crate::context::Context;
use crate::data::number_column;
use crate::output::{Failure, Results};
use crate::texts::{Texts, as_text, read_all};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A model folder
    model: PathBuf,
    /// Texts to classify (a table, JSON lines, or a text a line), sentences to tag (one a line), or the table to go on from
    #[arg(value_name = "DATA", required_unless_present = "text")]
    data: Option<String>,
    /// A text, instead of a file
    #[arg(long, value_name = "TEXT", conflicts_with = "data")]
    text: Option<String>,
    /// The column or field that holds texts
    #[arg(long, default_value = "text", value_name = "NAME")]
    text_column: String,
    /// Rows to forecast
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    rows: usize,
    /// The table to write: .csv, .tsv or .parquet
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Predictions for people are shown up to this many.
const SHOWN: usize = 1000;

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let model = Model::open(&arguments.model, &context.device()?)?;
    let (table, mut json, lines) = match model.config().task {
        Task::LanguageModel => {
            return Err(Failure::request("a language model predicts by `dozen rnn generate`"));
        }
        Task::Classify { .. } => classify(&model, &arguments.texts()?)?,
        Task::Tag { .. } => tag(&model, &arguments.texts()?)?,
        Task::Forecast { .. } => series(&model, arguments)?,
    };
    let mut results = Vec::new();
    if let Some(out) = &arguments.out {
        let rows = write_table(out, [Ok(table)])?;
        json["out"] = out.display().to_string().into();
        results.push(format!("{rows} rows in {}", out.display()));
    } else {
        let more = lines.len().saturating_sub(SHOWN);
        results.extend(lines.into_iter().take(SHOWN));
        if more > 0 {
            results.push(format!("and {more} more; --out writes all to a table"));
        }
    }
    json["seconds"] = started.elapsed().as_secs_f64().into();
    Results::new(json).lines(results).print(context.json())
}

impl Arguments {
    /// The texts: those of a table or of JSON lines, or the lines of a file.
    fn texts(&self) -> Result<Vec<String>, Failure> {
        if let Some(text) = &self.text {
            return Ok(vec![text.clone()]);
        }
        let file = self.data.clone().unwrap_or_default();
        let by_line =
            !matches!(&dozen::data::ending(&file)[..], "csv" | "tsv" | "parquet" | "jsonl" | "ndjson");
        let mut texts = Vec::new();
        if by_line {
            let bytes = read_all(&file)?;
            let lines = as_text(&file, &bytes)?.lines().filter(|line| !line.trim().is_empty());
            texts.extend(lines.map(str::to_owned));
        } else {
            Texts::of(vec![file.clone()], &self.text_column).each(|text| {
                texts.push(as_text(&file, text)?.to_owned());
                Ok(())
            })?;
        }
        if texts.is_empty() {
            return Err(Failure::request(format!("{file} holds no text")));
        }
        Ok(texts)
    }
}

type Predicted = (Table, Value, Vec<String>);

fn classify(model: &Model, texts: &[String]) -> Result<Predicted, Failure> {
    let units = model.units().expect("texts have a vocabulary");
    let sequences =
        texts.iter().enumerate().map(|(at, text)| data::sequence(units, text, &format!("text {}", at + 1)));
    let shares = predict_classes(model, &sequences.collect::<Result<Vec<_>, _>>()?);
    let labels = model.labels();
    let best: Vec<u32> = shares.iter().map(|shares| likeliest(shares)).collect();
    let said: Vec<String> = best.iter().map(|&label| labels[label as usize].clone()).collect();
    let probability: Vec<f64> =
        best.iter().zip(&shares).map(|(&label, shares)| f64::from(shares[label as usize])).collect();
    let lines = said.iter().zip(&probability).zip(texts).map(|((label, p), text)| {
        let beginning: String = text.chars().take(60).collect();
        format!("{label}\t{p:.4}\t{}", beginning.replace('\n', " "))
    });
    let lines = lines.collect();
    let json = json!({ "labels": said, "probabilities": probability });
    let mut columns =
        vec![Column::new("label", Values::Text(said)), number_column("probability", probability)];
    columns.extend(labels.iter().enumerate().map(|(label, name)| {
        number_column(&format!("p_{name}"), shares.iter().map(|shares| f64::from(shares[label])))
    }));
    Ok((Table::new(columns)?, json, lines))
}

fn tag(model: &Model, texts: &[String]) -> Result<Predicted, Failure> {
    let units = model.units().expect("texts have a vocabulary");
    let sentences: Vec<Vec<String>> =
        texts.iter().map(|text| text.split_whitespace().map(str::to_owned).collect()).collect();
    let sequences = sentences.iter().map(|words| data::word_sequence(units, words));
    let sequences: Vec<Sequence> = sequences.collect::<Result<_, _>>()?;
    let said = predict_tags(model, &sequences);
    let name = |label: &u32| model.labels()[*label as usize].clone();
    let (mut lines, mut number, mut words, mut labels) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (at, (sentence, own)) in sentences.iter().zip(&said).enumerate() {
        for (word, label) in sentence.iter().zip(own) {
            lines.push(format!("{word}\t{}", name(label)));
            number.push(at as f64 + 1.0);
            words.push(word.clone());
            labels.push(name(label));
        }
        lines.push(String::new());
    }
    let json = json!({
        "sentences": sentences.iter().zip(&said).map(|(words, own)| {
            words.iter().zip(own).map(|(word, label)| json!([word, name(label)])).collect::<Vec<_>>()
        }).collect::<Vec<_>>(),
    });
    let columns = vec![
        number_column("sentence", number),
        Column::new("word", Values::Text(words)),
        Column::new("label", Values::Text(labels)),
    ];
    Ok((Table::new(columns)?, json, lines))
}

fn series(model: &Model, arguments: &Arguments) -> Result<Predicted, Failure> {
    let Task::Forecast { columns } = &model.config().task else { unreachable!("a model of series") };
    let Some(file) = &arguments.data else {
        return Err(Failure::request("name the table to go on from"));
    };
    if arguments.rows == 0 {
        return Err(Failure::request("-n must be at least 1"));
    }
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let (_, values) = data::read_series(file, &names)?;
    if values.is_empty() {
        return Err(Failure::request(format!("{file} has no rows to go on from")));
    }
    let rows = forecast(model, &values, arguments.rows);
    let width = names.len();
    let mut lines = vec![names.join(",")];
    lines.extend(
        rows.chunks_exact(width)
            .map(|row| row.iter().map(|value| format!("{value:.6}")).collect::<Vec<_>>().join(",")),
    );
    let by_column = |at: usize| rows.iter().skip(at).step_by(width).copied();
    let table = names.iter().enumerate().map(|(at, name)| number_column(name, by_column(at)));
    let table = Table::new(table.collect())?;
    let json = json!({ "columns": names, "rows": rows.chunks_exact(width).collect::<Vec<_>>() });
    Ok((table, json, lines))
}
