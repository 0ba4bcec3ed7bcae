//! The command line: nouns, the flags that mean the same everywhere, and `--config`.

use std::ffi::OsString;
use std::path::Path;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use dozen::data::{MOST_PIXELS, set_most_pixels};
use dozen::nn::{Progress, RunFolder, choose_device};

use crate::commands::{
    autoregressive, compare, completions, detector, efficientnet, flow, gan, graph, info, make, man, rnn,
    serve, sql, tokenizer, tour, transport, vae, word2vec,
};
use crate::examples;
use crate::output::Failure;

/// Train, evaluate and use generative and predictive models, without Python.
#[derive(Parser, Debug)]
#[command(name = "dozen", version, args_override_self = true, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

/// What there is to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Autoregressive models of tables: FVSBN, NADE, MADE, EoNADE, RNADE
    #[command(subcommand, after_help = examples::AUTOREGRESSIVE)]
    Autoregressive(autoregressive::Command),
    /// The cheapest way to move one distribution onto another: the Wasserstein distance
    #[command(subcommand, after_help = examples::TRANSPORT)]
    Transport(transport::Command),
    /// Minimum spanning trees of graphs and points; clusters and segments from them
    #[command(subcommand, after_help = examples::GRAPH)]
    Graph(graph::Command),
    /// Byte-pair tokenizers: train, encode, decode, count, convert and verify them
    #[command(subcommand, after_help = examples::TOKENIZER)]
    Tokenizer(tokenizer::Command),
    /// Word vectors: skip-gram and CBOW, phrases, neighbours, analogies, every file format
    #[command(subcommand, after_help = examples::WORD2VEC)]
    Word2vec(word2vec::Command),
    /// Recurrent networks: language models, classifiers, taggers and forecasts
    #[command(subcommand, after_help = examples::RNN)]
    Rnn(rnn::Command),
    /// Normalizing flows: densities of tables of numbers, samples, how odd rows are
    #[command(subcommand, after_help = examples::FLOW)]
    Flow(flow::Command),
    /// Variational autoencoders: a latent for each row, samples, missing cells filled in
    #[command(subcommand, after_help = examples::VAE)]
    Vae(vae::Command),
    /// Generative adversarial networks: samples, and numbers that say how good they are
    #[command(subcommand, after_help = examples::GAN)]
    Gan(gan::Command),
    /// EfficientNet: classes of pictures, with the weights and the numbers of timm and torchvision
    #[command(subcommand, after_help = examples::EFFICIENTNET)]
    Efficientnet(efficientnet::Command),
    /// Boxes of things in images
    #[command(subcommand, after_help = examples::DETECTOR)]
    Detector(detector::Command),
    /// Are two tables from one distribution, and where do they differ?
    #[command(after_help = examples::COMPARE)]
    Compare(compare::Arguments),
    /// Every family on data it makes itself, in one report
    Tour(tour::Arguments),
    /// Models behind HTTP, with a web page
    Serve(serve::Arguments),
    /// Queries with dozen's functions over Parquet, on this machine or a cluster
    Sql(sql::Arguments),
    /// Make data whose truth is known
    #[command(after_help = examples::MAKE)]
    Make(make::Arguments),
    /// Say what a model folder holds
    Info(info::Arguments),
    /// Print a completion script for a shell
    Completions(completions::Arguments),
    /// Write manual pages for all commands
    Man(man::Arguments),
}

/// Flags that every command takes.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Everywhere")]
struct Global {
    /// Fixes everything random
    #[arg(long, global = true, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Where to compute: auto, cpu, cuda:N or wgpu
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE")]
    device: String,
    /// Threads to use [default: one for each core]
    #[arg(long, global = true, value_name = "N")]
    threads: Option<usize>,
    /// A TOML file of flags by their long names; flags on the command line win
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<String>,
    /// Print one JSON object on standard output, and nothing else there
    #[arg(long, global = true)]
    json: bool,
    /// The most pixels of a picture; larger ones are refused before they are decoded
    #[arg(long, global = true, alias = "pixel-limit", default_value_t = MOST_PIXELS, value_name = "N")]
    max_pixels: usize,
    /// No progress and no messages
    #[arg(long, global = true)]
    quiet: bool,
}

/// A parsed command and what holds for all commands.
pub(crate) struct Invocation {
    pub(crate) command: Command,
    pub(crate) context: Context,
    /// Where each value came from.
    pub(crate) matches: ArgMatches,
}

/// What holds for all commands.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    global: Global,
    /// The command line after the program's name, `--config` resolved.
    pub(crate) arguments: Vec<String>,
    /// The run that goes on.
    pub(crate) resumed: Option<RunFolder>,
}

impl Invocation {
    /// Parses the program's own command line.
    pub(crate) fn from_environment() -> Result<Self, Failure> {
        let arguments: Result<Vec<String>, OsString> =
            std::env::args_os().skip(1).map(OsString::into_string).collect();
        let arguments = arguments.map_err(|bad| {
            Failure::request(format!("the argument `{}` is not valid UTF-8", bad.display()))
        })?;
        Self::parse(with_config(arguments)?)
    }

    /// Parses arguments, without the program's name, in which `--config` is resolved already.
    pub(crate) fn parse(arguments: Vec<String>) -> Result<Self, Failure> {
        let words = std::iter::once("dozen".to_owned()).chain(arguments.iter().cloned());
        let matches = Cli::command().try_get_matches_from(words).map_err(Failure::usage)?;
        let Cli { command, global } = Cli::from_arg_matches(&matches).map_err(Failure::usage)?;
        Ok(Self { command, context: Context { global, arguments, resumed: None }, matches })
    }
}

impl Context {
    pub(crate) fn seed(&self) -> u64 {
        self.global.seed
    }

    pub(crate) fn json(&self) -> bool {
        self.global.json
    }

    pub(crate) fn quiet(&self) -> bool {
        self.global.quiet
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress::new(self.global.quiet)
    }

    pub(crate) fn device(&self) -> Result<dozen::nn::Device, Failure> {
        Ok(choose_device(&self.global.device)?)
    }

    /// The command as it can be typed again.
    pub(crate) fn command_line(&self) -> String {
        let quoted = self.arguments.iter().map(|argument| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@".contains(c);
            if !argument.is_empty() && argument.chars().all(plain) {
                argument.clone()
            } else {
                format!("'{}'", argument.replace('\'', r"'\''"))
            }
        });
        std::iter::once("dozen".to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
    }

    /// These settings with the arguments, seed and device of the run that goes on.
    pub(crate) fn resuming(&self, original: &Self, run: RunFolder) -> Self {
        let mut global = original.global.clone();
        (global.json, global.quiet) = (self.global.json, self.global.quiet);
        global.threads = self.global.threads.or(global.threads);
        Self { global, arguments: original.arguments.clone(), resumed: Some(run) }
    }

    /// Sets what holds for the whole process: threads, and how large pictures may be.
    pub(crate) fn set_limits(&self) -> Result<(), Failure> {
        set_most_pixels(self.global.max_pixels);
        let Some(threads) = self.global.threads else { return Ok(()) };
        if threads == 0 {
            return Err(Failure::request("--threads must be at least 1"));
        }
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()
            .map_err(|e| Failure::request(format!("--threads {threads} cannot be set: {e}")))
    }
}

/// Puts the flags of the `--config` file right after the command, less those that the command line has itself.
fn with_config(mut arguments: Vec<String>) -> Result<Vec<String>, Failure> {
    let Some(at) = arguments.iter().position(|a| a == "--config" || a.starts_with("--config=")) else {
        return Ok(arguments);
    };
    let file = match arguments[at].split_once('=') {
        Some((_, file)) => file.to_owned(),
        None if at + 1 < arguments.len() => arguments.remove(at + 1),
        None => return Err(Failure::request("--config needs a file")),
    };
    arguments.remove(at);
    let mut flags = read_config(Path::new(&file))?;
    let name = |argument: &str| argument.split('=').next().unwrap_or_default().to_owned();
    flags.retain(|flag| !arguments.iter().any(|argument| name(argument) == name(flag)));
    let after = last_command_word(&arguments);
    arguments.splice(after..after, flags);
    Ok(arguments)
}

fn read_config(file: &Path) -> Result<Vec<String>, Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|e| Failure::request(format!("cannot read the configuration `{shown}`: {e}")))?;
    let table: toml::Table =
        toml::from_str(&text).map_err(|e| Failure::request(format!("`{shown}` is not TOML: {e}")))?;
    let mut flags = Vec::new();
    for (key, value) in table {
        let value = match value {
            toml::Value::Boolean(false) => continue,
            toml::Value::Boolean(true) => {
                flags.push(format!("--{}", key.replace('_', "-")));
                continue;
            }
            toml::Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
            toml::Value::Table(_) => {
                return Err(Failure::request(format!(
                    "`{shown}`, key `{key}`: sections mean nothing here; write flags by their long names"
                )));
            }
            value => plain(&value),
        };
        flags.push(format!("--{}={value}", key.replace('_', "-")));
    }
    Ok(flags)
}

fn plain(value: &toml::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// One past the last word that names a command.
fn last_command_word(arguments: &[String]) -> usize {
    let mut command = Cli::command();
    let mut after = 0;
    for (index, argument) in arguments.iter().enumerate() {
        if let Some(found) = command.find_subcommand(argument) {
            command = found.clone();
            after = index + 1;
        }
    }
    after
}
