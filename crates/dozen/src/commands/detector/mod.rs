//! `dozen detector ...`.

mod apply;
mod data;
mod explain;
mod files;
mod import;
mod report;
mod tour;
mod train;

pub(crate) use tour::tour;

use clap::Subcommand;

use crate::context::Context;
use crate::output::Failure;

/// Of `--help`; each stands in the docs, where it is run.
pub(crate) const EXAMPLES: &str = concat!(
    "Examples:",
    "\n  dozen detector eval runs/d scenes/boxes.json",
    "\n  dozen detector predict runs/d scenes --shown 0.1 --out drawn",
);

/// What to do with boxes.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Train Faster R-CNN, R-FCN or TridentNet on images with boxes
    Train(Box<train::Train>),
    /// How well boxes are found in held-out images
    Eval(apply::Eval),
    /// The boxes in images, drawn or as numbers
    Predict(apply::Predict),
    /// Which parts of a box vote for it (R-FCN)
    Explain(explain::Explain),
    /// torchvision's weights of Faster R-CNN with a pyramid as a model folder
    Import(import::Import),
    /// COCO's figures of a file of detections
    EvalFile(files::EvalFile),
    /// Boxes of one format in another
    Convert(files::Convert),
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Train(arguments) => train::run(&arguments, context),
        Command::Eval(arguments) => apply::eval(&arguments, context),
        Command::Predict(arguments) => apply::predict(&arguments, context),
        Command::Explain(arguments) => explain::run(&arguments, context),
        Command::Import(arguments) => import::run(&arguments, context),
        Command::EvalFile(arguments) => files::eval_file(&arguments, context),
        Command::Convert(arguments) => files::convert(&arguments, context),
    }
}
