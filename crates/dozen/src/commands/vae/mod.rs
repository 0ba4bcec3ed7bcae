//! `dozen vae ...`.

mod apply;
mod chosen;
mod latents;
mod shape;
mod tour;
mod train;

use clap::Subcommand;

use crate::args::Context;
use crate::output::Failure;

pub(crate) use apply::table_of;
pub(crate) use tour::tour;

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
    Sample(apply::Sample),
    /// Fill in missing cells
    Impute(apply::Impute),
    /// The latent of each row
    Encode(latents::Encode),
    /// The rows of latents
    Decode(latents::Decode),
    /// Rows on the way from one row to another through the latent
    Interpolate(latents::Interpolate),
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Train(arguments) => train::run(&arguments, context),
        Command::Eval(arguments) => apply::eval(&arguments, context),
        Command::Score(arguments) => apply::score(&arguments, context),
        Command::Sample(arguments) => apply::sample(&arguments, context),
        Command::Impute(arguments) => apply::impute(&arguments, context),
        Command::Encode(arguments) => latents::encode(&arguments, context),
        Command::Decode(arguments) => latents::decode(&arguments, context),
        Command::Interpolate(arguments) => latents::interpolate(&arguments, context),
    }
}
