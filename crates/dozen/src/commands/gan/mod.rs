//! `dozen gan ...`.

mod apply;
mod shape;
mod tour;
mod train;

use clap::Subcommand;

use crate::context::Context;
use crate::data::ToTable;
use crate::made_rows::Sample;
use crate::output::Failure;

pub(crate) use tour::tour;

/// Of `--help`; each stands in the docs, where it is run.
pub(crate) const EXAMPLES: &str = concat!(
    "Examples:",
    "\n  dozen gan train blobs.csv --conditional --noise 8 --hidden 64 --iterations 300 --out runs/given",
    "\n  dozen gan sample runs/given -n 5 --class part_1",
    "\n  dozen gan eval runs/ring held-out.csv --rows 500 --train ring.csv",
);

/// What to do with generative adversarial networks.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Train a generator against a discriminator, on a table or on images
    Train(Box<train::Train>),
    /// How good samples are, beside held-out rows
    Eval(apply::Eval),
    /// The critic's value of each row
    Score(ToTable),
    /// Draw rows or images
    Sample(Sample),
    /// Rows on the way from one noise to another
    Interpolate(apply::Interpolate),
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Train(arguments) => train::run(&arguments, context),
        Command::Eval(arguments) => apply::eval(&arguments, context),
        Command::Score(arguments) => apply::score(&arguments, context),
        Command::Sample(arguments) => apply::sample(&arguments, context),
        Command::Interpolate(arguments) => apply::interpolate(&arguments, context),
    }
}
