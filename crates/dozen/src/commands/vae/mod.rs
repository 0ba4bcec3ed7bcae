//! `dozen vae ...`.

mod apply;
mod chosen;
mod shape;
mod tour;
mod train;

use clap::Subcommand;
use dozen::generative::vae::Model;

use crate::codes::{self, Decode, Interpolate};
use crate::context::Context;
use crate::data::ToTable;
use crate::output::Failure;

pub(crate) use tour::tour;

/// Of `--help`; each stands in the docs, where it is run.
pub(crate) const EXAMPLES: &str = concat!(
    "Examples:",
    "\n  dozen vae train holes.csv --latent 4 --hidden 64 --epochs 10 --rate 0.003 --out runs/holes",
    "\n  dozen vae impute runs/holes holes.csv --out filled.csv",
    "\n  dozen vae encode runs/holes holes.csv --out latents.csv",
);

/// What to do with variational autoencoders.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Train an autoencoder on a table or on images
    Train(Box<train::Train>),
    /// Bounds on the log-likelihood of held-out rows, and what the latent does
    Eval(apply::Eval),
    /// A bound on the log-likelihood of each row
    Score(apply::Score),
    /// Draw rows or images
    Sample(apply::SampleOrMean),
    /// Fill in missing cells
    Impute(apply::Impute),
    /// The latent of each row
    Encode(ToTable),
    /// The rows of latents
    Decode(Decode),
    /// Rows on the way from one row to another through the latent
    Interpolate(Interpolate),
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Train(arguments) => train::run(&arguments, context),
        Command::Eval(arguments) => apply::eval(&arguments, context),
        Command::Score(arguments) => apply::score(&arguments, context),
        Command::Sample(arguments) => apply::sample(&arguments, context),
        Command::Impute(arguments) => apply::impute(&arguments, context),
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
