//! `dozen rnn ...`.

mod convert;
mod data;
mod eval;
mod generate;
mod predict;
mod shape;
mod tour;
mod train;

use clap::Subcommand;

use crate::context::Context;
use crate::output::Failure;

pub(crate) use generate::Writer;
pub(crate) use tour::tour;

/// Of `--help`; each stands in the docs, where it is run.
pub(crate) const EXAMPLES: &str = concat!(
    "Examples:",
    "\n  dozen rnn train README.md --epochs 1 --hidden 32 --out runs/writer",
    "\n  dozen rnn generate runs/writer -n 80",
    "\n  dozen rnn predict runs/parity --text \"1 0 1 1\"",
);

/// What to do with recurrent networks.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Train a language model, a classifier, a tagger or a forecaster
    Train(Box<train::Train>),
    /// How well held-out data are predicted
    Eval(eval::Arguments),
    /// Let a language model write
    Generate(generate::Arguments),
    /// Labels of texts, tags of words, or the next rows of a table
    Predict(predict::Arguments),
    /// Make a model of a PyTorch state_dict in a safetensors file
    Import(convert::Import),
    /// Write a model for PyTorch or as ONNX
    Export(convert::Export),
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Train(arguments) => train::run(&arguments, context),
        Command::Eval(arguments) => eval::run(&arguments, context),
        Command::Generate(arguments) => generate::run(&arguments, context),
        Command::Predict(arguments) => predict::run(&arguments, context),
        Command::Import(arguments) => convert::import(&arguments, context),
        Command::Export(arguments) => convert::export(&arguments, context),
    }
}
