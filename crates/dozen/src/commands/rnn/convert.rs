//! `dozen rnn import` and `export`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use dozen::data::DataError;
use dozen::sequence::{Model, Task, UnitKind, Units, export_onnx, export_pytorch, import_pytorch};
use serde_json::{Value, json};

use super::shape::CellFlag;
use super::train::{TaskFlag, open_tokenizer};
use crate::context::Context;
use crate::output::{Failure, Results};
use crate::texts::{as_text, read_all};
use crate::training::Out;

#[derive(Args, Debug)]
pub(crate) struct Export {
    /// A model folder
    model: PathBuf,
    /// The form
    #[arg(long, value_enum, value_name = "FORM")]
    to: Form,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum Form {
    /// The state_dict of nn.Embedding, nn.RNN, nn.LSTM or nn.GRU, and nn.Linear, in a safetensors file
    Pytorch,
    /// An ONNX graph, opset 17, with its weights
    Onnx,
}

pub(super) fn export(arguments: &Export, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let model = Model::open(&arguments.model, &context.device()?)?;
    let out = &arguments.out;
    match arguments.to {
        Form::Pytorch => export_pytorch(&model, out)?,
        Form::Onnx => export_onnx(&model, out)?,
    }
    let bytes = std::fs::metadata(out).map_err(|error| DataError::write(out, error))?.len();
    let json = json!({
        "out": out.display().to_string(),
        "bytes": bytes,
        "seconds": started.elapsed().as_secs_f64(),
    });
    Results::new(json).line(format!("{bytes} bytes in {}", out.display())).print(context.json())
}

#[derive(Args, Debug)]
pub(crate) struct Import {
    /// A safetensors file
    file: PathBuf,
    /// What the network is for: language-model, classify or tag
    #[arg(long, value_enum, default_value_t = TaskFlag::LanguageModel, value_name = "TASK")]
    task: TaskFlag,
    /// What its tokens are: characters, bytes, words, or the folder or file of a tokenizer
    #[arg(long, default_value = "characters", value_name = "UNITS")]
    tokens: String,
    /// The characters or words by their numbers: a JSON list, a JSON object of numbers by symbol, or a word a line
    #[arg(long, value_name = "FILE")]
    vocabulary: Option<PathBuf>,
    /// The labels by their numbers
    #[arg(long, value_name = "LABEL,...", value_delimiter = ',')]
    labels: Vec<String>,
    /// The cell, where the file leaves it open: a plain cell is tanh unless this says relu
    #[arg(long, value_enum, value_name = "CELL")]
    cell: Option<CellFlag>,
    #[command(flatten)]
    out: Out,
}

pub(super) fn import(arguments: &Import, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let labels = arguments.labels.clone();
    let task = match arguments.task {
        TaskFlag::LanguageModel => Task::LanguageModel,
        _ if labels.is_empty() => {
            return Err(Failure::request("name the labels by their numbers with --labels"));
        }
        TaskFlag::Classify => Task::Classify { labels },
        TaskFlag::Tag => Task::Tag { labels, crf: false },
        TaskFlag::Forecast => {
            return Err(Failure::request("a forecaster's scales are not in a state_dict; train one instead"));
        }
    };
    let units = arguments.units()?;
    let cell = arguments.cell.map(CellFlag::kind);
    let model = import_pytorch(&arguments.file, task, Some(units), cell, &context.device()?)?;
    let run = arguments.out.begin()?;
    model.write(&run)?;
    let out = run.finish()?.display().to_string();
    let json = json!({
        "parameters": model.parameters(),
        "model": model.config().model,
        "out": out,
        "seconds": started.elapsed().as_secs_f64(),
    });
    let line = format!("{} parameters; the model is in {out}", model.parameters());
    Results::new(json).line(line).print(context.json())
}

impl Import {
    fn units(&self) -> Result<Units, Failure> {
        let symbols = || -> Result<Vec<String>, Failure> {
            let file = self.vocabulary.as_deref();
            read_symbols(file.ok_or_else(|| {
                Failure::request("name the file of the characters or words with --vocabulary")
            })?)
        };
        Ok(match self.tokens.as_str() {
            "bytes" => Units::of_texts(&UnitKind::Bytes, []),
            "characters" => Units::of_characters(symbols()?),
            "words" => Units::of_words(symbols()?),
            path => Units::of_texts(&UnitKind::Tokenizer(open_tokenizer(path)?), []),
        })
    }
}

/// Symbols by their numbers.
fn read_symbols(path: &Path) -> Result<Vec<String>, Failure> {
    let file = path.display().to_string();
    let bytes = read_all(&file)?;
    let text = as_text(&file, &bytes)?;
    let wrong = |what: &str| Failure::request(format!("{file}: {what}"));
    match serde_json::from_str(text) {
        Ok(Value::Array(symbols)) => {
            let symbol = |value: Value| value.as_str().map(str::to_owned);
            symbols
                .into_iter()
                .map(symbol)
                .collect::<Option<_>>()
                .ok_or_else(|| wrong("the list holds more than texts"))
        }
        Ok(Value::Object(numbers)) => {
            let mut symbols: Vec<(u64, String)> = numbers
                .into_iter()
                .map(|(symbol, number)| number.as_u64().map(|number| (number, symbol)))
                .collect::<Option<_>>()
                .ok_or_else(|| wrong("a symbol's number is no whole number"))?;
            symbols.sort();
            if symbols.iter().enumerate().any(|(place, (number, _))| *number != place as u64) {
                return Err(wrong("the numbers are not 0, 1, 2 and so on, each once"));
            }
            Ok(symbols.into_iter().map(|(_, symbol)| symbol).collect())
        }
        _ => Ok(text.lines().map(str::to_owned).collect()),
    }
}
