//! `dozen transport`: the cheapest way to move one distribution onto another.

mod barycenter;
mod distance;
mod plan;
mod problem;
mod tour;

use clap::Subcommand;

use crate::args::Context;
use crate::output::Failure;

pub(crate) use tour::tour;

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
