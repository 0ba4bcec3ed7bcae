//! `dozen transport plan`.

use std::time::Instant;

use clap::Args;
use dozen::data::{Column, Table, Values, write_table};
use dozen::transport::Flow;

use super::problem::Problem;
use crate::args::Context;
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
    let column = |name: &str, values: Vec<f64>| Column::new(name, Values::Number(values));
    let of = |value: fn(&Flow) -> f64| plan.flows.iter().map(value).collect::<Vec<f64>>();
    let table = Table::new(vec![
        column("from", of(|flow| flow.from as f64)),
        column("to", of(|flow| flow.to as f64)),
        column("mass", of(|flow| flow.mass)),
    ])?;
    write_table(&arguments.out, [Ok(table)])?;
    let (mut json, lines) = problem.describe(&plan);
    json["out"] = arguments.out.display().to_string().into();
    json["flows"] = plan.flows.len().into();
    json["seconds"] = started.elapsed().as_secs_f64().into();
    let first = format!("{} flows in {}", plan.flows.len(), arguments.out.display());
    Results::new(json).line(first).lines(lines).print(context.json());
    Ok(())
}
