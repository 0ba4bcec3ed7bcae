//! `dozen word2vec train`.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use dozen::data::Fingerprint;
use dozen::nn::{Error as RunError, Finishing, RunFolder, interrupt_requested};
use dozen::text::word2vec::formats::read_matrices;
use dozen::text::word2vec::{
    Architecture, Config, Corpus, Dictionary, Done, Learnt, Loss, Model, Parameters, Saved, Step,
    Subsampling, Subwords, Summary, WordVectors, train,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::corpus::CorpusArguments;
use super::page;
use crate::begun::Begun;
use crate::context::Context;
use crate::output::{Failure, Results};
use crate::training::{self, Run};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    corpus: CorpusArguments,
    #[command(flatten)]
    run: Run,
    /// Begin with the vectors of a model folder; frequent new words of these texts are added to its own
    #[arg(long, value_name = "DIR", conflicts_with_all = ["loss", "dim", "subwords", "buckets"])]
    from: Option<PathBuf>,
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    learning: Learning,
    /// Words whose nearest words are shown after each pass
    #[arg(long, value_name = "WORD,...", value_delimiter = ',')]
    probe: Vec<String>,
}

/// What is learnt.
#[derive(Args, Debug)]
#[command(next_help_heading = "Model")]
struct Shape {
    /// Which word is predicted from which
    #[arg(long, value_enum, default_value_t = ModelFlag::Skipgram, value_name = "MODEL")]
    model: ModelFlag,
    /// How cbow puts context words together
    #[arg(long, value_enum, default_value_t = ContextFlag::Mean, value_name = "HOW")]
    context: ContextFlag,
    /// How a prediction is judged
    #[arg(long, value_enum, default_value_t = LossFlag::Negative, value_name = "LOSS")]
    loss: LossFlag,
    /// Length of the vectors
    #[arg(long, default_value_t = 100, value_name = "N")]
    dim: usize,
    /// The most words to either side that are context
    #[arg(long, default_value_t = 5, value_name = "N")]
    window: usize,
    /// Every window is as wide as it can be, instead of a random width up to that
    #[arg(long)]
    fixed_window: bool,
    /// Character n-grams of these lengths are parts of words, as in fastText: 3-6
    #[arg(long, value_name = "MIN-MAX", value_parser = lengths)]
    subwords: Option<(usize, usize)>,
    /// Rows that n-grams share
    #[arg(long, default_value_t = 2_000_000, value_name = "N", requires = "subwords")]
    buckets: usize,
    /// Words that occur less often are left out
    #[arg(long, default_value_t = 5, value_name = "N")]
    min_count: u64,
    /// The most words of the vocabulary
    #[arg(long, value_name = "N")]
    max_words: Option<usize>,
}

/// How it is learnt.
#[derive(Args, Debug)]
#[command(next_help_heading = "Training")]
struct Learning {
    /// Words drawn against each prediction
    #[arg(long, default_value_t = 5, value_name = "N")]
    negative: usize,
    /// They are drawn by their counts to this power
    #[arg(long, default_value_t = 0.75, value_name = "P", allow_negative_numbers = true)]
    noise_exponent: f64,
    /// One draw serves a whole window, or four words of cbow: faster
    #[arg(long)]
    shared_negatives: bool,
    /// The vectors are the same to the bit for any --threads, one included
    #[arg(long)]
    deterministic: bool,
    /// Passes over the texts
    #[arg(long, default_value_t = 5, value_name = "N")]
    epochs: usize,
    /// Learning rate at the start [default: 0.025, and 0.05 for cbow]
    #[arg(long, value_name = "RATE")]
    rate: Option<f32>,
    /// Learning rate at the end [default: a ten thousandth of --rate]
    #[arg(long, value_name = "RATE")]
    min_rate: Option<f32>,
    /// How frequent words are left out at random
    #[arg(long, value_enum, default_value_t = SubsamplingFlag::Word2vec, value_name = "RULE")]
    subsampling: SubsamplingFlag,
    /// The frequency from which on they are [default: 1e-3, and 1e-5 for paper]
    #[arg(long, value_name = "T")]
    sample: Option<f64>,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq)]
enum ModelFlag {
    /// A word from each word of its context
    Skipgram,
    /// A word from all of its context together
    Cbow,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq)]
enum ContextFlag {
    Mean,
    Sum,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq)]
enum LossFlag {
    /// Against drawn words
    Negative,
    /// Along the ways of a Huffman tree
    Hierarchical,
    /// Against all words: exact, and slow but for small vocabularies
    Softmax,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq)]
enum SubsamplingFlag {
    /// Keep with probability (sqrt(f/t) + 1) t/f, as word2vec.c and gensim
    Word2vec,
    /// Keep with probability sqrt(t/f), as the paper
    Paper,
    /// Keep all
    None,
}

fn lengths(text: &str) -> Result<(usize, usize), String> {
    let (min, max) = text.split_once('-').ok_or("give two lengths, such as 3-6")?;
    match (min.parse(), max.parse()) {
        (Ok(min), Ok(max)) => Ok((min, max)),
        _ => Err("give two lengths, such as 3-6".into()),
    }
}

impl Arguments {
    fn config(&self, seed: u64, from: Option<&Config>) -> Config {
        let (shape, learning) = (&self.shape, &self.learning);
        let cbow = shape.model == ModelFlag::Cbow;
        let rate = learning.rate.unwrap_or(if cbow { 0.05 } else { 0.025 });
        let negative = Loss::Negative { count: learning.negative, exponent: learning.noise_exponent };
        let subwords = shape.subwords.map(|(min, max)| Subwords { min, max, buckets: shape.buckets });
        Config {
            architecture: match (cbow, shape.context) {
                (false, _) => Architecture::SkipGram,
                (true, ContextFlag::Mean) => Architecture::CbowMean,
                (true, ContextFlag::Sum) => Architecture::CbowSum,
            },
            loss: match (shape.loss, from.map(|from| from.loss)) {
                (_, Some(loss @ (Loss::Hierarchical | Loss::Softmax))) => loss,
                (_, Some(Loss::Negative { .. })) | (LossFlag::Negative, None) => negative,
                (LossFlag::Hierarchical, None) => Loss::Hierarchical,
                (LossFlag::Softmax, None) => Loss::Softmax,
            },
            dim: from.map_or(shape.dim, |from| from.dim),
            window: shape.window,
            dynamic_window: !shape.fixed_window,
            subsampling: match learning.subsampling {
                SubsamplingFlag::Word2vec => {
                    Subsampling::Word2vec { threshold: learning.sample.unwrap_or(1e-3) }
                }
                SubsamplingFlag::Paper => Subsampling::Paper { threshold: learning.sample.unwrap_or(1e-5) },
                SubsamplingFlag::None => Subsampling::None,
            },
            subwords: from.map_or(subwords, |from| from.subwords),
            epochs: learning.epochs,
            rate,
            min_rate: learning.min_rate.unwrap_or(rate * 1e-4),
            shared_negatives: learning.shared_negatives,
            deterministic: learning.deterministic,
            seed,
        }
    }
}

/// What a checkpoint knows beside the matrices.
#[derive(Default, Serialize, Deserialize)]
struct State {
    done: Done,
    vocabulary: usize,
    /// Seconds of training.
    seconds: f64,
    /// Lines of `metrics.jsonl`.
    metrics: Vec<Value>,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let run = arguments.run.begin(context)?;
    let progress = context.progress();
    let from = arguments.from.as_deref().map(Model::open).transpose()?;
    let config = arguments.config(context.seed(), from.as_ref().map(|from| &from.saved.model));
    config.check()?;
    let counting = Instant::now();
    let (corpus, mut parameters) = prepare(arguments, &config, from)?;
    let count_seconds = counting.elapsed().as_secs_f64();
    let dictionary = corpus.dictionary();
    progress.say(&format!(
        "{} words, {} of them in the vocabulary of {}; read and counted in {count_seconds:.1} s",
        corpus.words_read(),
        corpus.words(),
        dictionary.len()
    ));
    if corpus.not_text() > 0 {
        progress.say(&format!("{} words are not UTF-8 and were left out", corpus.not_text()));
    }
    let probes = arguments.probes(dictionary)?;
    let mut state = State { vocabulary: dictionary.len(), ..State::default() };
    if run.has_checkpoint() {
        state = run.read_json("checkpoints/last/state.json")?;
        if state.vocabulary != dictionary.len() {
            return Err(Failure::request("the texts are not those with which the run began"));
        }
        let [input, output] = read_matrices(&run.last().join("model.safetensors"), ["input", "output"])?;
        parameters = Parameters { input, output };
    }
    let data: Vec<Fingerprint> = arguments
        .corpus
        .texts
        .files()?
        .iter()
        .filter(|file| *file != "-")
        .map(|file| Fingerprint::of(file))
        .collect::<Result<_, _>>()?;
    Begun::learns_from(&run, &data)?;
    let summary = learn(&run, &corpus, &config, &mut parameters, state, &probes, context)?;
    let counted = Learnt {
        words: corpus.words(),
        words_read: corpus.words_read(),
        min_count: arguments.shape.min_count,
    };
    let data = data.iter().map(|file| json!(file)).collect();
    let saved = Saved { model: config.clone(), training: counted, data };
    let model = Model { saved, dictionary: dictionary.clone(), parameters };
    model.write(&run)?;
    let vectors = model.vectors()?;
    let report = page::report(&vectors, &config, &summary, &probes, context.command_line());
    run.write_text("report.html", &report.html())?;
    let loss = summary.losses.last().copied();
    let words_per_second = summary.words as f64 / summary.seconds.max(f64::MIN_POSITIVE);
    let json = json!({
        "words": corpus.words(),
        "words_read": corpus.words_read(),
        "vocabulary": vectors.dictionary().len(),
        "loss": loss,
        "words_per_second": words_per_second,
        "train_seconds": summary.seconds,
        "count_seconds": count_seconds,
        "count_bytes_per_second": corpus.bytes() as f64 / count_seconds,
    });
    let line = format!(
        "{} vectors of {} values from {} words; loss {:.4} nats a pair, {words_per_second:.0} words a second",
        vectors.dictionary().len(),
        config.dim,
        corpus.words(),
        loss.unwrap_or(f64::NAN)
    );
    training::finish(run, Results::new(json).line(line), started, context)
}

/// Reads the corpus, and makes matrices that fit it.
fn prepare(
    arguments: &Arguments,
    config: &Config,
    from: Option<Model>,
) -> Result<(Corpus, Parameters), Failure> {
    let reader = arguments.corpus.read()?;
    let (min_count, max_words) = (arguments.shape.min_count, arguments.shape.max_words);
    let Some(Model { dictionary, mut parameters, .. }) = from else {
        let corpus = reader.finish(min_count, max_words)?;
        let parameters = Parameters::new(config, corpus.dictionary());
        return Ok((corpus, parameters));
    };
    // A tree belongs to its words: no new ones can be added to it.
    let min_count = if config.loss == Loss::Hierarchical { u64::MAX } else { min_count };
    let corpus = reader.continue_with(dictionary, min_count, max_words)?;
    parameters.make_room(config, corpus.dictionary());
    Ok((corpus, parameters))
}

impl Arguments {
    fn probes(&self, dictionary: &Dictionary) -> Result<Vec<String>, Failure> {
        for word in &self.probe {
            if dictionary.find(word).is_none() {
                return Err(Failure::request(format!(
                    "the probe `{word}` is not in the vocabulary of {} words",
                    dictionary.len()
                )));
            }
        }
        Ok(self.probe.clone())
    }
}

fn learn(
    run: &RunFolder,
    corpus: &Corpus,
    config: &Config,
    parameters: &mut Parameters,
    mut state: State,
    probes: &[String],
    context: &Context,
) -> Result<Summary, Failure> {
    let progress = context.progress();
    let all = corpus.words() * config.epochs as u64;
    let begun_with = state.done;
    let done = begun_with.words;
    let mut meter = progress.start("train", "words", all, done);
    let mut before = done;
    let (mut failure, mut checkpoints) = (None, run.checkpoints());
    let (begun, seconds_before) = (Instant::now(), state.seconds);
    let _finishing = Finishing::begin();
    let mut watch = |step: &Step, parameters: &Parameters| -> Result<bool, Failure> {
        let message = || format!("pass {}/{}, loss {:.4}", step.epoch + 1, config.epochs, step.loss);
        meter.advance(step.done.words - before, message);
        before = step.done.words;
        if step.ends_epoch {
            let line = json!({
                "epoch": step.epoch + 1,
                "loss": step.loss,
                "rate": step.rate,
                "words": step.done.words,
                "seconds": seconds_before + begun.elapsed().as_secs_f64(),
            });
            state.metrics.push(line);
            let lines: String = state.metrics.iter().map(|line| format!("{line}\n")).collect();
            run.write_text("metrics.jsonl", &lines)?;
            if !probes.is_empty() {
                let vectors =
                    WordVectors::from_parameters(corpus.dictionary().clone(), parameters, config.subwords)?;
                for probe in probes {
                    let near = page::near(&vectors, probe, 6);
                    progress.say(&format!("pass {}, near {probe}: {near}", step.epoch + 1));
                }
            }
        }
        if checkpoints.due() || interrupt_requested() {
            state.done = step.done;
            state.seconds = seconds_before + begun.elapsed().as_secs_f64();
            checkpoints.write(|| {
                run.checkpoint(&state, 0, |folder| parameters.write(&folder.join("model.safetensors")))
            })?;
        }
        Ok(!interrupt_requested())
    };
    let mut summary = train(corpus, config, parameters, begun_with, |step, parameters| {
        watch(step, parameters).unwrap_or_else(|error| {
            failure = Some(error);
            false
        })
    })?;
    meter.finish();
    if let Some(failure) = failure {
        return Err(failure);
    }
    if summary.stopped {
        let step = done + summary.words;
        return Err(RunError::Interrupted { step, folder: run.out().to_owned() }.into());
    }
    // With the passes before the run was resumed.
    summary.losses = state.metrics.iter().filter_map(|line| line["loss"].as_f64()).collect();
    Ok(summary)
}
