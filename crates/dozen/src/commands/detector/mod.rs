//! `dozen detector ...`.

mod files;

use clap::Subcommand;

use crate::args::Context;
use crate::output::Failure;

/// What to do with boxes.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// COCO's figures of a file of detections
    EvalFile(files::EvalFile),
    /// Boxes of one format in another
    Convert(files::Convert),
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::EvalFile(arguments) => files::eval_file(&arguments, context),
        Command::Convert(arguments) => files::convert(&arguments, context),
    }
}
