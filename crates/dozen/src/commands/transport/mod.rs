//! `dozen transport`: the cheapest way to move one distribution onto another.

mod barycenter;
mod distance;
mod plan;
mod problem;
mod tour;

use clap::Subcommand;

use crate::context::Context;
use crate::output::Failure;

pub(crate) use tour::tour;

/// Of `--help`; each stands in the docs, where it is run.
pub(crate) const EXAMPLES: &str = concat!(
    "Examples:",
    "\n  dozen transport distance moons.csv rings.csv --columns x,y",
    "\n  dozen transport plan moons.csv rings.csv --columns x,y --out plan.csv",
    "\n  dozen transport distance moons.csv rings.csv --columns x,y --method sinkhorn --epsilon 0.05",
);

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// The Wasserstein distance between two tables: exact and with its certificate, entropic or sliced
    Distance(distance::Arguments),
    /// The plan itself: which rows go where, and how much of them
    Plan(plan::Arguments),
    /// The distribution in the middle of several
    Barycenter(barycenter::Arguments),
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Distance(arguments) => distance::run(&arguments, context),
        Command::Plan(arguments) => plan::run(&arguments, context),
        Command::Barycenter(arguments) => barycenter::run(&arguments, context),
    }
}
