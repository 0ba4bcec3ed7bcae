//! `dozen rnn train`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use dozen::data::Fingerprint;
use dozen::nn::{History, RunFolder};
use dozen::sequence::{
    Config, Data, Example, Model, Shown, Task, TrainRequest, UnitKind, Units, standardize, train_model,
    training_report, windows,
};
use dozen::text::Tokenizer;
use serde_json::{Value, json};

use super::data::{self, Labelled};
use super::eval::{self, Found};
use super::shape::Shape;
use crate::begun::Begun;
use crate::context::Context;
use crate::output::Failure;
use crate::training::{self, TrainingArguments};

#[derive(Args, Debug)]
#[command(
    mut_arg("epochs", |a| a.default_value("20")),
    mut_arg("batch_size", |a| a.default_value("50").help("Sequences side by side in a step")),
    mut_arg("rate", |a| a.default_value("0.004")),
    mut_arg("decay", |a| a.default_value("cosine")),
    mut_arg("clip_norm", |a| a.default_value("1")),
    mut_arg("patience", |a| a.default_value("0"))
)]
pub(crate) struct Train {
    /// Text files or folders; for classify a table; for tag lines of a word and its label; for forecast a table of numbers
    #[arg(value_name = "DATA", required_unless_present = "resume")]
    data: Vec<String>,
    /// What to learn
    #[arg(long, value_enum, default_value_t = TaskFlag::LanguageModel, value_name = "TASK")]
    task: TaskFlag,
    /// Held-out data, for early stopping
    #[arg(long, value_name = "FILE", conflicts_with = "split")]
    valid: Option<String>,
    /// Fractions of DATA for training, validation and, if three, testing; of texts and series the beginning is trained on
    /// [default without --valid: 0.9,0.1]
    #[arg(long, value_name = "F,F[,F]", value_delimiter = ',')]
    split: Option<Vec<f64>>,
    #[command(flatten)]
    training: TrainingArguments,
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    reading: Reading,
}

/// How data become sequences.
#[derive(Args, Debug)]
#[command(next_help_heading = "Sequences")]
struct Reading {
    /// What a text is a sequence of: characters, bytes, words, or the folder or file of a tokenizer [default: characters for
    /// language-model, else words]
    #[arg(long, value_name = "UNITS")]
    tokens: Option<String>,
    /// Words that occur less often are unknown
    #[arg(long, default_value_t = 1, value_name = "N")]
    min_count: u64,
    /// Steps that a language model or forecaster is trained on at a time: the gradient goes no further back
    #[arg(long, default_value_t = 50, value_name = "N")]
    sequence_length: usize,
    /// The column or field that holds texts
    #[arg(long, default_value = "text", value_name = "NAME")]
    text_column: String,
    /// The column that holds labels
    #[arg(long, default_value = "label", value_name = "NAME")]
    label_column: String,
    /// Columns of a series [default: all of numbers]
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    columns: Vec<String>,
    /// Let neighbouring tags score each other (a conditional random field)
    #[arg(long)]
    crf: bool,
    /// Word vectors to begin with: a model of `dozen word2vec`, or a file of vectors
    #[arg(long, value_name = "MODEL")]
    vectors: Option<PathBuf>,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq)]
pub(super) enum TaskFlag {
    /// The next unit of a text
    LanguageModel,
    /// One label for a text
    Classify,
    /// One label for each word
    Tag,
    /// The next row of a table
    Forecast,
}

/// What was read, and what the model will be evaluated on.
struct Prepared {
    task: Task,
    units: Option<Units>,
    learn: Learn,
    held_out: Option<Found>,
    test: Option<Found>,
}

enum Learn {
    Text { train: Vec<u32>, valid: Vec<u32> },
    Examples { train: Vec<Example>, valid: Vec<Example> },
}

pub(super) fn run(arguments: &Train, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let run = arguments.training.run.begin(context)?;
    let device = arguments.training.one_device(context)?;
    let record = arguments.training.record(context.seed())?;
    arguments.check()?;
    let prepared = arguments.prepare(context.seed())?;
    let vectors = match (&arguments.reading.vectors, &prepared.units) {
        (Some(path), Some(units)) => vectors(path, units, context)?,
        _ => Vec::new(),
    };
    let width = vectors.first().map(|(_, vector)| vector.len());
    let model = arguments.shape.config(prepared.units.is_some(), width);
    model.validate()?;
    let files = arguments.data.iter().chain(&arguments.valid).filter(|f| *f != "-" && !Path::new(f).is_dir());
    let config = Config {
        model,
        task: prepared.task,
        sequence_length: arguments.reading.sequence_length,
        record,
        data: files.map(|file| Fingerprint::of(file)).collect::<Result<_, _>>()?,
    };
    let data = match &prepared.learn {
        Learn::Text { train, valid } => Data::Text { train, valid },
        Learn::Examples { train, valid } => Data::Examples { train, valid },
    };
    let steps = prepared.learn.steps();
    Begun::learns_from(&run, &config.data)?;
    let request = TrainRequest { config, units: prepared.units, data, vectors };
    let (model, history) = train_model(request, &run, &device, context.progress())?;
    finish(&model, &history, steps, (prepared.held_out, prepared.test), run, context, started)
}

/// Evaluates, writes the report, and says how it went.
fn finish(
    model: &Model,
    history: &History,
    steps: usize,
    (held_out, test): (Option<Found>, Option<Found>),
    run: RunFolder,
    context: &Context,
    started: Instant,
) -> Result<(), Failure> {
    let rate = (steps * history.epochs.len()) as f64 / history.seconds;
    let mut results = training::trained("rnn", model.parameters() as u64, history)
        .figures(json!({ "tokens_per_second": rate }))
        .line(format!("{rate:.0} steps of sequences a second"));
    let (mut table, mut shown) = (Vec::new(), Vec::new());
    for (part, found) in [("valid", held_out), ("test", test)] {
        let Some(found) = found else { continue };
        let result = eval::evaluate(model, &found, None)?;
        if let Value::Object(own) = result.json {
            let of_part = own.into_iter().map(|(key, value)| (format!("{part}_{key}"), value));
            results = results.figures(Value::Object(of_part.collect()));
        }
        results = results.lines(result.lines.iter().map(|line| format!("{part}: {line}")));
        table.extend(result.table.into_iter().map(|(name, value)| (format!("{part}: {name}"), value)));
        if part == "valid" {
            shown = result.shown;
        }
    }
    if model.config().task == Task::LanguageModel {
        shown.push(Shown::Text {
            prompt: String::new(),
            text: super::generate::specimen(model, context.seed())?,
        });
    }
    let report = training_report(model, history, &table, &shown, &context.command_line());
    run.write_text("report.html", &report.html())?;
    training::finish(run, results, started, context)
}

impl Learn {
    /// Steps of an epoch.
    fn steps(&self) -> usize {
        match self {
            Self::Text { train, .. } => train.len() - 1,
            Self::Examples { train, .. } => train.iter().map(|example| example.input.len()).sum(),
        }
    }
}

/// The vectors of the vocabulary's words, by their numbers.
fn vectors(path: &Path, units: &Units, context: &Context) -> Result<Vec<(u32, Vec<f32>)>, Failure> {
    let vectors = crate::commands::word2vec::open_vectors(path, context)?;
    let known = (0..units.len() as u32).filter_map(|id| {
        let word = units.symbol(id)?;
        let vector = vectors.vector(&word).ok()?;
        Some((id, vector.into_owned()))
    });
    let known: Vec<_> = known.collect();
    if known.is_empty() {
        return Err(Failure::request(format!(
            "{} has vectors of none of the {}",
            path.display(),
            units.name()
        )));
    }
    let message = format!("vectors for {} of {} {}", known.len(), units.len(), units.name());
    context.progress().say(&message);
    Ok(known)
}

impl Train {
    fn check(&self) -> Result<(), Failure> {
        let ahead = matches!(self.task, TaskFlag::LanguageModel | TaskFlag::Forecast);
        if ahead && self.shape.bidirectional {
            return Err(Failure::request(
                "--bidirectional would let the model see what it is to predict; leave it out for this task",
            ));
        }
        if self.reading.sequence_length == 0 {
            return Err(Failure::request("--sequence-length must be at least 1"));
        }
        if self.reading.crf && self.task != TaskFlag::Tag {
            return Err(Failure::request("--crf is for --task tag"));
        }
        if let Some(split) = &self.split {
            let positive = split.iter().all(|fraction| *fraction >= 0.0) && split[0] > 0.0;
            if !(2..=3).contains(&split.len()) || !positive {
                return Err(Failure::request(
                    "--split takes two or three fractions, the first above 0, as in --split 0.8,0.1,0.1",
                ));
            }
        }
        if self.task != TaskFlag::LanguageModel && self.data.len() > 1 {
            return Err(Failure::request("this task is trained on one file; only texts may be several"));
        }
        Ok(())
    }

    fn prepare(&self, seed: u64) -> Result<Prepared, Failure> {
        let fractions = match (&self.split, &self.valid) {
            (Some(split), _) => split.clone(),
            (None, Some(_)) => vec![1.0, 0.0],
            (None, None) => vec![0.9, 0.1],
        };
        match self.task {
            TaskFlag::LanguageModel => self.prepare_text(&fractions),
            TaskFlag::Classify => self.prepare_labelled(&fractions, seed),
            TaskFlag::Tag => self.prepare_tagged(&fractions, seed),
            TaskFlag::Forecast => self.prepare_series(&fractions),
        }
    }

    fn unit_kind(&self, default: &str) -> Result<UnitKind, Failure> {
        Ok(match self.reading.tokens.as_deref().unwrap_or(default) {
            "characters" => UnitKind::Characters,
            "bytes" => UnitKind::Bytes,
            "words" => UnitKind::Words { min_count: self.reading.min_count },
            path => UnitKind::Tokenizer(open_tokenizer(path)?),
        })
    }

    fn prepare_text(&self, fractions: &[f64]) -> Result<Prepared, Failure> {
        let kind = self.unit_kind("characters")?;
        let column = &self.reading.text_column;
        let text = data::read_text(&self.data, column)?;
        let words = matches!(kind, UnitKind::Words { .. });
        let mut parts: Vec<String> =
            data::split_text(&text, fractions, words).into_iter().map(str::to_owned).collect();
        if let Some(valid) = &self.valid {
            parts[1] = data::read_text(std::slice::from_ref(valid), column)?;
        }
        // Rare words are those of the training text; of characters all parts' are known, as is usual.
        let known = if words { &parts[..1] } else { &parts[..] };
        let units = Units::of_texts(&kind, known.iter().map(String::as_str));
        if units.is_empty() {
            return Err(Failure::request("the text to train on is empty"));
        }
        let train = units.encode(&parts[0], "the text to train on")?;
        let found = |text: String, what: &str| -> Result<Option<Found>, Failure> {
            let ids = units.encode(&text, what)?;
            let bytes = data::predicted_bytes(&units, &text, &ids);
            Ok((ids.len() > 1).then_some(Found::Text { ids, bytes }))
        };
        let mut rest = parts.into_iter().skip(1);
        let held_out = rest.next().map(|text| found(text, "the held-out text")).transpose()?.flatten();
        let test = rest.next().map(|text| found(text, "the text to test on")).transpose()?.flatten();
        let valid = match &held_out {
            Some(Found::Text { ids, .. }) => ids.clone(),
            _ => Vec::new(),
        };
        Ok(Prepared {
            task: Task::LanguageModel,
            learn: Learn::Text { train, valid },
            units: Some(units),
            held_out,
            test,
        })
    }

    fn prepare_labelled(&self, fractions: &[f64], seed: u64) -> Result<Prepared, Failure> {
        let Reading { text_column, label_column, .. } = &self.reading;
        let read = |file: &str| Labelled::read(file, text_column, label_column);
        let all = read(&self.data[0])?;
        let rows = data::rows_by_fractions(all.texts.len(), fractions, seed)?;
        let mut parts: Vec<Labelled> = rows.iter().map(|rows| all.select(rows)).collect();
        if let Some(valid) = &self.valid {
            parts[1] = read(valid)?;
        }
        let labels = data::distinct(parts[0].labels.iter());
        if labels.len() < 2 {
            return Err(Failure::request(format!(
                "column `{label_column}` of {} has {} different label among the training rows; there must be two",
                self.data[0],
                labels.len()
            )));
        }
        let units = Units::of_texts(&self.unit_kind("words")?, parts[0].texts.iter().map(String::as_str));
        let examples = |part: &Labelled| part.examples(&units, &labels);
        let parts: Vec<Vec<Example>> = parts.iter().map(examples).collect::<Result<_, _>>()?;
        Ok(Prepared::examples(Task::Classify { labels }, Some(units), parts))
    }

    fn prepare_tagged(&self, fractions: &[f64], seed: u64) -> Result<Prepared, Failure> {
        let file = &self.data[0];
        let all = data::read_tagged(file)?;
        let rows = data::rows_by_fractions(all.len(), fractions, seed)?;
        let mut parts: Vec<Vec<data::Tagged>> =
            rows.iter().map(|rows| rows.iter().map(|&row| all[row].clone()).collect()).collect();
        if let Some(valid) = &self.valid {
            parts[1] = data::read_tagged(valid)?;
        }
        let labels = data::distinct(parts[0].iter().flat_map(|(_, labels)| labels));
        let kind = self.unit_kind("words")?;
        if !matches!(kind, UnitKind::Words { .. }) {
            return Err(Failure::request("--task tag labels words; leave --tokens out"));
        }
        let words = parts[0].iter().flat_map(|(words, _)| words.iter().map(String::as_str));
        let units = Units::of_texts(&kind, words);
        let examples = |part: &Vec<data::Tagged>| data::tagged_examples(part, &units, &labels, file);
        let parts: Vec<Vec<Example>> = parts.iter().map(examples).collect::<Result<_, _>>()?;
        Ok(Prepared::examples(Task::Tag { labels, crf: self.reading.crf }, Some(units), parts))
    }

    fn prepare_series(&self, fractions: &[f64]) -> Result<Prepared, Failure> {
        let (names, mut values) = data::read_series(&self.data[0], &self.reading.columns)?;
        let width = names.len();
        let all = values.len() / width;
        let whole: f64 = fractions.iter().sum();
        let row = |fraction: f64| ((all as f64 * fraction / whole).round() as usize).min(all);
        let mut ends = [row(fractions[0]), row(fractions[0] + fractions[1])];
        if let Some(valid) = &self.valid {
            let (_, more) = data::read_series(valid, &names)?;
            values.extend(more);
            ends[1] = values.len() / width;
        }
        let steps = self.reading.sequence_length;
        if ends[0] <= steps {
            return Err(Failure::request(format!(
                "there are {} rows to train on, which is less than one sequence and the row after it; give more rows, or a \
                 --sequence-length below {}",
                ends[0],
                ends[0].max(1)
            )));
        }
        let columns = standardize(&names, &values, ends[0]);
        let train = windows(&columns, &values[..ends[0] * width], steps);
        // Held-out windows begin in training rows, so that each predicts only held-out ones after the first.
        let valid = windows(
            &columns,
            &values[(ends[0] - 1) * width..ends[1] * width],
            steps.min(ends[1] - ends[0]).max(1),
        );
        let found = |from: usize, end: usize| {
            (end > from).then(|| Found::Series { values: values[..end * width].to_vec(), from })
        };
        let (held_out, test) = (found(ends[0], ends[1]), found(ends[1], values.len() / width));
        Ok(Prepared {
            task: Task::Forecast { columns },
            units: None,
            learn: Learn::Examples { train, valid },
            held_out,
            test,
        })
    }
}

impl Prepared {
    fn examples(task: Task, units: Option<Units>, parts: Vec<Vec<Example>>) -> Self {
        let mut parts = parts.into_iter();
        let mut part = || parts.next().unwrap_or_default();
        let (train, valid, test) = (part(), part(), part());
        let found = |examples: Vec<Example>| (!examples.is_empty()).then_some(Found::Examples(examples));
        Self {
            task,
            units,
            held_out: found(valid.clone()),
            test: found(test),
            learn: Learn::Examples { train, valid },
        }
    }
}

/// A tokenizer's file, or the model folder that holds one.
pub(super) fn open_tokenizer(path: &str) -> Result<std::sync::Arc<Tokenizer>, Failure> {
    let mut file = PathBuf::from(path);
    if file.is_dir() {
        file = file.join("tokenizer.json");
    }
    if !file.exists() {
        return Err(Failure::request(format!(
            "--tokens is characters, bytes, words, or a tokenizer's file or folder; there is no file `{path}`"
        )));
    }
    Ok(std::sync::Arc::new(Tokenizer::open(&file, None)?))
}
