//! `dozen serve`.

mod pictures;
mod points;
mod rows;
mod texts;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use dozen::nn::ModelFolder;
use dozen::text::Tokenizer;
use dozen_serve::{Limits, Refusal, Served, Server};
use serde_json::json;

use super::word2vec;
use crate::args::Context;
use crate::output::{Failure, Results};

/// Which models, and where.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Model folders, tokenizers and word vectors; NAME=PATH gives one another name than its own
    #[arg(value_name = "MODEL")]
    models: Vec<String>,
    /// The port; 0 takes a free one
    #[arg(long, default_value_t = 8080, value_name = "N")]
    port: u16,
    /// The address to listen at; 0.0.0.0 lets other machines in
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    host: IpAddr,
    /// A file whose first line is a token that requests must have, as `Authorization: Bearer TOKEN`
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
    /// The most bytes of a request
    #[arg(long, default_value_t = 16 << 20, value_name = "N")]
    body_limit: usize,
    /// The most rows that are asked for or given
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    row_limit: usize,
    /// The most pixels of a picture
    #[arg(long, default_value_t = 50_000_000, value_name = "N")]
    pixel_limit: usize,
    /// The most seconds until an answer
    #[arg(long, default_value_t = 30.0, value_name = "S")]
    time_limit: f64,
    /// The most requests that wait for one model; others are told to try again
    #[arg(long, default_value_t = 64, value_name = "N")]
    queue: usize,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    if arguments.time_limit.is_nan() || arguments.time_limit <= 0.0 || arguments.time_limit > 1e6 {
        return Err(Failure::request("--time-limit is a positive number of seconds"));
    }
    let mut models: Vec<(String, Box<dyn Served>)> = Vec::new();
    for model in &arguments.models {
        let (name, path) = named(model);
        context.progress().say(&format!("opening {}", path.display()));
        models.push((name, open(&path, context)?));
    }
    // What needs no model is there always.
    models.push(("transport".into(), Box::new(points::Transport)));
    models.push(("graph".into(), Box::new(points::Graph)));
    let token = arguments.token.as_deref().map(first_line).transpose()?;
    if token.is_none() && !arguments.host.is_loopback() {
        context.progress().say("anybody who reaches this address can use the models: there is no --token");
    }
    let limits = Limits {
        body: arguments.body_limit,
        rows: arguments.row_limit,
        pixels: arguments.pixel_limit,
        time: Duration::from_secs_f64(arguments.time_limit),
        queue: arguments.queue,
    };
    let failed = |error: dozen_serve::Error| match error {
        dozen_serve::Error::Name(sentence) => Failure::request(sentence),
        other => Failure::Run(other.to_string()),
    };
    let names: Vec<String> = models.iter().map(|(name, _)| name.clone()).collect();
    let server = Server::new(models, limits, token).map_err(failed)?;
    let ready = |address: SocketAddr| {
        let _ = Results::new(json!({ "address": format!("http://{address}"), "models": names }))
            .line(format!("serving {} at http://{address}", names.join(", ")))
            .print(context.json());
    };
    server.run(SocketAddr::new(arguments.host, arguments.port), ready).map_err(failed)
}

/// A model's name and path.
fn named(model: &str) -> (String, PathBuf) {
    if let Some((name, path)) = model.split_once('=')
        && !Path::new(model).exists()
    {
        return (name.to_owned(), path.into());
    }
    let path = Path::new(model);
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let stem = if whole.is_dir() { whole.file_name() } else { whole.file_stem() };
    (stem.unwrap_or_default().to_string_lossy().into_owned(), path.into())
}

fn first_line(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::request(format!("cannot read the token `{}`: {error}", file.display())))?;
    match text.lines().next().map(str::trim) {
        Some(token) if token.len() >= 16 => Ok(token.to_owned()),
        _ => Err(Failure::request(format!("the token in `{}` has fewer than 16 characters", file.display()))),
    }
}

fn open(path: &Path, context: &Context) -> Result<Box<dyn Served>, Failure> {
    let device = context.device()?;
    if !path.join("config.json").is_file() || path.join("tokenizer.json").is_file() {
        // A tokenizer, or else word vectors.
        return match Tokenizer::open(path, None) {
            Ok(tokenizer) => Ok(Box::new(texts::Tokens(tokenizer))),
            Err(problem) if path.is_file() => match word2vec::open_vectors(path, context) {
                Ok(vectors) => Ok(Box::new(texts::Words(vectors))),
                Err(_) => Err(problem.into()),
            },
            Err(problem) => Err(problem.into()),
        };
    }
    let folder = ModelFolder::open(path)?;
    Ok(match folder.family() {
        "autoregressive" => Box::new(rows::Autoregressive::open(path, &device)?),
        "flow" => Box::new(rows::Flow::open(path, &device)?),
        "vae" => Box::new(rows::Vae::open(path, &device)?),
        "gan" => Box::new(rows::Gan::open(path, &device)?),
        "rnn" => Box::new(texts::Recurrent(dozen::sequence::Model::open(path, &device)?)),
        "efficientnet" => Box::new(pictures::Classes::open(path, &device)?),
        "detector" => Box::new(pictures::Boxes::open(path, &device)?),
        "word2vec" => Box::new(texts::Words(word2vec::open_vectors(path, context)?)),
        other => {
            return Err(Failure::request(format!(
                "`{}` is a model of the family `{other}`, which is not served",
                path.display()
            )));
        }
    })
}

/// A failure of the program as one of a request.
fn refused(failure: impl std::fmt::Display) -> Refusal {
    Refusal::Request(failure.to_string())
}
