//! `dozen flow ...`.

mod apply;
mod chosen;
mod shape;
mod tour;
mod train;

use clap::Subcommand;
use dozen::generative::flow::Model;

use crate::codes::{self, Decode, Interpolate};
use crate::context::Context;
use crate::data::{OnData, ToTable};
use crate::made_rows::Sample;
use crate::output::Failure;

pub(crate) use tour::tour;

/// Of `--help`; each stands in the docs, where it is run.
pub(crate) const EXAMPLES: &str = concat!(
    "Examples:",
    "\n  dozen flow train board.csv --columns x,y --epochs 15 --out runs/board",
    "\n  dozen flow score runs/board board.csv --out scores.csv",
    "\n  dozen flow sample runs/board -n 5",
);

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
    Sample(Sample),
    /// The base's values of each row
    Encode(ToTable),
    /// The rows of base values
    Decode(Decode),
    /// Rows on the way from one row to another, straight in the base
    Interpolate(Interpolate),
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Train(arguments) => train::run(&arguments, context),
        Command::Eval(arguments) => apply::eval(&arguments, context),
        Command::Score(arguments) => apply::score(&arguments, context),
        Command::Sample(arguments) => apply::sample(&arguments, context),
        Command::Encode(arguments) => codes::encode(&arguments, context, |on| apply::open(on, context)),
        Command::Decode(arguments) => {
            let device = context.device()?;
            codes::decode(&arguments, context, |folder| Model::open(folder, &device))
        }
        Command::Interpolate(arguments) => {
            codes::interpolate(&arguments, context, |on| apply::open(on, context))
        }
    }
}
