//! The command line: nouns, the flags that mean the same everywhere, and `--config`.

use std::ffi::OsString;
use std::path::Path;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::{
    autoregressive, compare, completions, detector, efficientnet, flow, gan, graph, info, make, man, rnn,
    serve, sql, tokenizer, tour, transport, vae, word2vec,
};
use crate::context::{Context, Global};
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
    #[command(subcommand, after_help = autoregressive::EXAMPLES)]
    Autoregressive(autoregressive::Command),
    /// The cheapest way to move one distribution onto another: the Wasserstein distance
    #[command(subcommand, after_help = transport::EXAMPLES)]
    Transport(transport::Command),
    /// Minimum spanning trees of graphs and points; clusters and segments from them
    #[command(subcommand, after_help = graph::EXAMPLES)]
    Graph(graph::Command),
    /// Byte-pair tokenizers: train, encode, decode, count, convert and verify them
    #[command(subcommand, after_help = tokenizer::EXAMPLES)]
    Tokenizer(tokenizer::Command),
    /// Word vectors: skip-gram and CBOW, phrases, neighbours, analogies, every file format
    #[command(subcommand, after_help = word2vec::EXAMPLES)]
    Word2vec(word2vec::Command),
    /// Recurrent networks: language models, classifiers, taggers and forecasts
    #[command(subcommand, after_help = rnn::EXAMPLES)]
    Rnn(rnn::Command),
    /// Normalizing flows: densities of tables of numbers, samples, how odd rows are
    #[command(subcommand, after_help = flow::EXAMPLES)]
    Flow(flow::Command),
    /// Variational autoencoders: a latent for each row, samples, missing cells filled in
    #[command(subcommand, after_help = vae::EXAMPLES)]
    Vae(vae::Command),
    /// Generative adversarial networks: samples, and numbers that say how good they are
    #[command(subcommand, after_help = gan::EXAMPLES)]
    Gan(gan::Command),
    /// EfficientNet: classes of pictures, with the weights and the numbers of timm and torchvision
    #[command(subcommand, after_help = efficientnet::EXAMPLES)]
    Efficientnet(efficientnet::Command),
    /// Boxes of things in images
    #[command(subcommand, after_help = detector::EXAMPLES)]
    Detector(detector::Command),
    /// Are two tables from one distribution, and where do they differ?
    #[command(after_help = compare::EXAMPLES)]
    Compare(compare::Arguments),
    /// Every family on data it makes itself, in one report
    Tour(tour::Arguments),
    /// Models behind HTTP, with a web page
    Serve(serve::Arguments),
    /// Queries with dozen's functions over Parquet, on this machine or a cluster
    Sql(sql::Arguments),
    /// Make data whose truth is known
    #[command(after_help = make::EXAMPLES)]
    Make(make::Arguments),
    /// Say what a model folder holds
    Info(info::Arguments),
    /// Print a completion script for a shell
    Completions(completions::Arguments),
    /// Write manual pages for all commands
    Man(man::Arguments),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Autoregressive(command) => autoregressive::run(command, context),
            Self::Transport(command) => transport::run(command, context),
            Self::Tokenizer(command) => tokenizer::run(command, context),
            Self::Word2vec(command) => word2vec::run(command, context),
            Self::Flow(command) => flow::run(command, context),
            Self::Vae(command) => vae::run(command, context),
            Self::Detector(command) => detector::run(command, context),
            Self::Efficientnet(command) => efficientnet::run(command, context),
            Self::Gan(command) => gan::run(command, context),
            Self::Rnn(command) => rnn::run(command, context),
            Self::Graph(command) => graph::run(command, context),
            Self::Compare(arguments) => compare::run(&arguments, context),
            Self::Tour(arguments) => tour::run(&arguments, context),
            Self::Serve(arguments) => serve::run(&arguments, context),
            Self::Sql(_) => sql::run(context),
            Self::Make(arguments) => make::run(&arguments, context),
            Self::Info(arguments) => info::run(&arguments, context),
            Self::Man(arguments) => man::run(&arguments, Cli::command(), context),
            Self::Completions(arguments) => completions::run(&arguments, Cli::command()),
        }
    }
}

/// A parsed command and what holds for all commands.
pub(crate) struct Invocation {
    pub(crate) command: Command,
    pub(crate) context: Context,
    /// Where each value came from.
    pub(crate) matches: ArgMatches,
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
        let matches =
            with_negative_numbers(Cli::command()).try_get_matches_from(words).map_err(Failure::usage)?;
        let Cli { command, global } = Cli::from_arg_matches(&matches).map_err(Failure::usage)?;
        Ok(Self { command, context: Context::new(global, arguments), matches })
    }
}

/// Lets `--beta -1` be a number, which is refused as one, and no flag that is not known.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    command
        .mut_args(|argument| {
            let takes_one = argument.get_action().takes_values();
            if takes_one { argument.allow_negative_numbers(true) } else { argument }
        })
        .mut_subcommands(with_negative_numbers)
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
