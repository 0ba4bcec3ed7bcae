//! `dozen transport plan`.

use std::time::Instant;

use clap::Args;
use dozen::data::{Table, write_table};
use dozen::transport::Flow;

use super::problem::Problem;
use crate::context::Context;
use crate::data::number_column;
use crate::output::{Failure, Results};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The file to write, with the columns from, to, mass: .csv, .tsv, .parquet or .npy
    #[arg(long, value_name = "FILE")]
    out: std::path::PathBuf,
    #[command(flatten)]
    problem: Problem,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let problem = &arguments.problem;
    let started = Instant::now();
    let plan = problem.solve(&problem.sides(context)?)?;
    let column = |name: &str, value: fn(&Flow) -> f64| number_column(name, plan.flows.iter().map(value));
    let table = Table::new(vec![
        column("from", |flow| flow.from as f64),
        column("to", |flow| flow.to as f64),
        column("mass", |flow| flow.mass),
    ])?;
    write_table(&arguments.out, [Ok(table)])?;
    let (mut json, lines) = problem.describe(&plan);
    json["out"] = arguments.out.display().to_string().into();
    json["flows"] = plan.flows.len().into();
    json["seconds"] = started.elapsed().as_secs_f64().into();
    let first = format!("{} flows in {}", plan.flows.len(), arguments.out.display());
    Results::new(json).line(first).lines(lines).print(context.json())
}
