//! `dozen tour`: every family on data it makes itself, in one report.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use dozen::report::{Report, Table};
use serde_json::json;

use super::{
    autoregressive, detector, efficientnet, flow, gan, graph, rnn, tokenizer, transport, vae, word2vec,
};
use crate::context::Context;
use crate::output::{Failure, Results, write_report};
use crate::tour_stop::Stop;

/// Where to.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The folder for the models and the report
    #[arg(long, default_value = "runs/tour", value_name = "DIR")]
    out: PathBuf,
    /// Stop at this family only, as in --only gan
    #[arg(long, value_name = "NOUN")]
    only: Option<String>,
}

/// What the report of a tour is called.
const TITLE: &str = "A tour of dozen";

/// The folder of a tour is made anew by the next one; what is anything else stays.
fn is_free(out: &Path) -> Result<(), Failure> {
    let occupied = out.is_file() || out.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    let report = std::fs::read_to_string(out.join("report.html")).unwrap_or_default();
    if occupied && !report.contains(TITLE) {
        return Err(Failure::request(format!(
            "`{}` is not empty and not the folder of a tour; choose another --out",
            out.display()
        )));
    }
    Ok(())
}

type Family = (&'static str, fn(&Path, &Context) -> Result<Stop, Failure>);
const FAMILIES: [Family; 11] = [
    ("autoregressive", autoregressive::tour),
    ("transport", transport::tour),
    ("graph", graph::tour),
    ("tokenizer", tokenizer::tour),
    ("word2vec", word2vec::tour),
    ("rnn", rnn::tour),
    ("flow", flow::tour),
    ("vae", vae::tour),
    ("gan", gan::tour),
    ("efficientnet", efficientnet::tour),
    ("detector", detector::tour),
];

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    is_free(&arguments.out)?;
    let lead = "Each family of dozen on data whose truth is known, so that what it learnt can be checked.";
    let mut report = Report::new(TITLE, lead, context.command_line());
    let mut json = json!({ "families": {} });
    let mut lines = Vec::new();
    let mut table = Table::new(["", "family", "checked against what is known"]);
    let mut failed = 0;
    let wanted = |name: &str| arguments.only.as_deref().is_none_or(|only| only == name);
    if !FAMILIES.iter().any(|(name, _)| wanted(name)) {
        let names: Vec<&str> = FAMILIES.iter().map(|(name, _)| *name).collect();
        return Err(Failure::request(format!("the tour stops at {}", names.join(", "))));
    }
    let mut stops = Vec::new();
    for (name, family) in FAMILIES.into_iter().filter(|(name, _)| wanted(name)) {
        context.progress().say(&format!("{name} ..."));
        let stop = family(&arguments.out.join(name), context)?;
        for check in &stop.checks {
            failed += usize::from(!check.passed);
            table = table.row([check.mark(), name, &check.sentence]);
            lines.push(format!("{} {name:15} {}", check.mark(), check.sentence));
        }
        let passed = stop.checks.iter().all(|check| check.passed);
        json["families"][name] = stop.json;
        json["families"][name]["passed"] = passed.into();
        stops.push(stop.report);
    }
    report.section("What was checked").table(table);
    for stop in stops {
        report.append(stop);
    }
    let page = write_report(&arguments.out, &report)?;
    json["seconds"] = started.elapsed().as_secs_f64().into();
    lines.push(format!("the report is {page}"));
    json["report"] = page.into();
    json["failed"] = failed.into();
    Results::new(json).lines(lines).print(context.json())?;
    match failed {
        0 => Ok(()),
        1 => Err(Failure::Run("one check failed".into())),
        many => Err(Failure::Run(format!("{many} checks failed"))),
    }
}
