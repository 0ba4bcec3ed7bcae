//! `dozen serve`.

mod pictures;
mod points;
mod rows;
mod texts;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use dozen::Model;
use dozen::data::most_pixels;
use dozen::text::Tokenizer;
use dozen_serve::{Limits, Refusal, Served, Server};
use serde_json::json;

use super::{tokenizer, word2vec};
use crate::context::Context;
use crate::output::{Failure, Results};
use crate::training::seconds;

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
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS", value_parser = address)]
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
    /// The most seconds until an answer
    #[arg(long, default_value_t = 30.0, value_name = "S")]
    time_limit: f64,
    /// The most requests that wait for one model; others are told to try again
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = at_least_one)]
    queue: usize,
    /// The most connections at once; the one that does nothing for the longest time gives way to a new one
    #[arg(long, default_value_t = 512, value_name = "N", value_parser = at_least_one)]
    connections: usize,
    /// How long what was begun may take to end after SIGTERM or Ctrl-C; a second one ends it at once
    #[arg(long, default_value = "10s", value_name = "S", value_parser = seconds)]
    drain: Duration,
}

/// An address, or `localhost`.
fn address(text: &str) -> Result<IpAddr, String> {
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    text.parse().map_err(|_| "an address is needed, such as 127.0.0.1, ::1 or localhost".into())
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "a whole number from 1 is needed".into())
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    if arguments.time_limit.is_nan() || arguments.time_limit <= 0.0 || arguments.time_limit > 1e6 {
        return Err(Failure::request("--time-limit is a positive number of seconds"));
    }
    // What is logged goes to standard error by way of a thread of its own: where that is full or unread, lines are lost
    // and requests are answered all the same.
    let (log, _writer) = tracing_appender::non_blocking(std::io::stderr());
    if !context.quiet() {
        tracing_subscriber::fmt().json().flatten_event(true).with_target(false).with_writer(log).init();
    }
    let mut models: Vec<(String, Box<dyn Served>)> = Vec::new();
    for model in &arguments.models {
        let (name, path) = named(model);
        tracing::info!(model = name, path = %path.display(), "opening");
        models.push((name, open(&path, context)?));
    }
    // What needs no model is there always.
    models.push(("transport".into(), Box::new(points::Transport)));
    models.push(("graph".into(), Box::new(points::Graph)));
    let token = arguments.token.as_deref().map(first_line).transpose()?;
    if token.is_none() && !arguments.host.is_loopback() {
        tracing::warn!("anybody who reaches this address can use the models: there is no --token");
    }
    let limits = Limits {
        body: arguments.body_limit,
        rows: arguments.row_limit,
        pixels: most_pixels(),
        time: Duration::from_secs_f64(arguments.time_limit),
        queue: arguments.queue,
        connections: arguments.connections,
        drain: arguments.drain,
        ..Limits::default()
    };
    let failed = |error: dozen_serve::Error| match error {
        dozen_serve::Error::Name(sentence) => Failure::request(sentence),
        other => Failure::Run(other.to_string()),
    };
    let names: Vec<String> = models.iter().map(|(name, _)| name.clone()).collect();
    let server = Server::new(models, limits, token).map_err(failed)?;
    let listening = server.listen(SocketAddr::new(arguments.host, arguments.port)).map_err(failed)?;
    let address = listening.address();
    let ready = Results::new(json!({ "address": format!("http://{address}"), "models": names }))
        .line(format!("serving {} at http://{address}", names.join(", ")))
        .print(context.json());
    match ready {
        // Nobody wants to know where; there may be requests all the same.
        Err(Failure::Unread) => {}
        other => other?,
    }
    listening.run();
    Ok(())
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
    if !is_model_folder(path) {
        // A tokenizer, or else word vectors.
        return match Tokenizer::open(path, None) {
            Ok(tokenizer) => Ok(Box::new(texts::Tokens(tokenizer))),
            Err(problem) if path.is_file() => match word2vec::open_vectors(path, context) {
                Ok(vectors) => Ok(Box::new(texts::Words(vectors))),
                Err(_) => Err(not_served(path, &problem)),
            },
            Err(problem) => Err(not_served(path, &problem)),
        };
    }
    Ok(match dozen::open_on(path, &device)? {
        Model::Table(model) => Box::new(rows::Rows(model)),
        Model::Sequence(model) => Box::new(texts::Recurrent(*model)),
        Model::Classifier(model) => Box::new(pictures::Classes(*model)),
        Model::Detector(model) => Box::new(pictures::Boxes(*model)),
        Model::Words(vectors) => Box::new(texts::Words(*vectors)),
        Model::Tokenizer(tokenizer) => Box::new(texts::Tokens(*tokenizer)),
        other => {
            return Err(Failure::request(format!(
                "`{}` is a model of {other:?}, which is not served",
                path.display()
            )));
        }
    })
}

/// Whether dozen wrote a folder with a model that is no tokenizer. Other programs' tokenizers have a config.json as well, and
/// models that read texts a tokenizer.json.
fn is_model_folder(path: &Path) -> bool {
    let config = dozen::run::read_json::<serde_json::Value>(&path.join("config.json"));
    config.is_ok_and(|config| {
        config["format"].is_u64() && config["family"].is_string() && config["family"] != tokenizer::FAMILY
    })
}

fn not_served(path: &Path, problem: &dozen::text::Error) -> Failure {
    let path = path.display();
    if !Path::new(&path.to_string()).exists() {
        return Failure::request(format!(
            "`{path}` does not exist; name a model folder, a tokenizer or word vectors"
        ));
    }
    Failure::request(format!(
        "`{path}` is not a model folder of dozen, nor a tokenizer or word vectors: {problem}"
    ))
}

/// A failure of the program as one of a request.
fn refused(failure: impl std::fmt::Display) -> Refusal {
    Refusal::Request(failure.to_string())
}
