//! `dozen flow ...`.

mod apply;
mod chosen;
mod shape;
mod tour;
mod train;

use clap::Subcommand;

use crate::args::Context;
use crate::data::{OnData, ToTable};
use crate::output::Failure;

pub(crate) use tour::tour;

/// What to do with normalizing flows.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Train a flow on a table of numbers
    Train(Box<train::Train>),
    /// Mean log-probability of held-out rows, and how far samples are from them
    Eval(OnData),
    /// The log-probability of each row, its base values, and how odd it is
    Score(ToTable),
    /// Draw rows
    Sample(apply::Sample),
    /// The base's values of each row
    Encode(ToTable),
    /// The rows of base values
    Decode(ToTable),
    /// Rows on the way from one row to another, straight in the base
    Interpolate(apply::Interpolate),
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Train(arguments) => train::run(&arguments, context),
        Command::Eval(arguments) => apply::eval(&arguments, context),
        Command::Score(arguments) => apply::score(&arguments, context),
        Command::Sample(arguments) => apply::sample(&arguments, context),
        Command::Encode(arguments) => apply::encode(&arguments, context),
        Command::Decode(arguments) => apply::decode(&arguments, context),
        Command::Interpolate(arguments) => apply::interpolate(&arguments, context),
    }
}
