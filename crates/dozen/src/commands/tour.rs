//! `dozen tour`: every family on data it makes itself, in one report.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use dozen::report::Report;
use serde_json::{Value, json};

use super::{autoregressive, flow, gan, graph, rnn, tokenizer, transport, vae, word2vec};
use crate::args::Context;
use crate::output::{Failure, Results, write_report};

/// Where to.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The folder for the models and the report
    #[arg(long, default_value = "runs/tour", value_name = "DIR")]
    out: PathBuf,
}

/// What a family shows on the tour.
pub(crate) struct Stop {
    /// Its part of the report.
    pub(crate) report: Report,
    /// What it measured.
    pub(crate) json: Value,
    /// The same in a sentence.
    pub(crate) line: String,
}

type Family = (&'static str, fn(&Path, &Context) -> Result<Stop, Failure>);
const FAMILIES: [Family; 9] = [
    ("autoregressive", autoregressive::tour),
    ("transport", transport::tour),
    ("graph", graph::tour),
    ("tokenizer", tokenizer::tour),
    ("word2vec", word2vec::tour),
    ("rnn", rnn::tour),
    ("flow", flow::tour),
    ("vae", vae::tour),
    ("gan", gan::tour),
];

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let lead = "Each family of dozen on data whose truth is known, so that what it learnt can be checked.";
    let mut report = Report::new("A tour of dozen", lead, context.command_line());
    let mut json = json!({ "families": {} });
    let mut lines = Vec::new();
    for (name, family) in FAMILIES {
        context.progress().say(&format!("{name} ..."));
        let stop = family(&arguments.out.join(name), context)?;
        report.append(stop.report);
        json["families"][name] = stop.json;
        lines.push(stop.line);
    }
    let page = write_report(&arguments.out, &report)?;
    json["seconds"] = started.elapsed().as_secs_f64().into();
    lines.push(format!("the report is {page}"));
    json["report"] = page.into();
    Results::new(json).lines(lines).print(context.json());
    Ok(())
}
