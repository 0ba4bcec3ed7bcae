//! `dozen efficientnet ...`.

mod apply;
mod benchmark;
mod convert;
mod explain;
mod scale;
mod tour;
mod train;

pub(crate) use tour::tour;

use clap::Subcommand;

use crate::context::Context;
use crate::output::Failure;

/// Of `--help`; each stands in the docs, where it is run.
pub(crate) const EXAMPLES: &str = concat!(
    "Examples:",
    "\n  dozen efficientnet train photos --image-size 24 --stem-stride 1 --epochs 1 --out runs/photos",
    "\n  dozen efficientnet predict runs/photos photos/star/00006.png --top 3",
    "\n  dozen efficientnet explain runs/shapes shapes/star/00006.png --out star.png",
);

/// What to do with EfficientNets.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Train a network on folders of pictures, from scratch or from given weights
    Train(Box<train::Train>),
    /// How well classes are told on held-out pictures
    Eval(apply::Eval),
    /// The likeliest classes of pictures
    Predict(apply::Predict),
    /// Where the network looks in a picture
    Explain(explain::Explain),
    /// Weights of timm, torchvision or Keras as a model folder
    Import(convert::Import),
    /// A model's weights under the names of timm, torchvision or Keras, or as an ONNX graph
    Export(convert::Export),
    /// How long a network takes on this machine, and each of its layers
    Benchmark(benchmark::Benchmark),
    /// What a scaled network is made of and costs, before it is built
    Scale(scale::Scale),
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Train(arguments) => train::run(&arguments, context),
        Command::Eval(arguments) => apply::eval(&arguments, context),
        Command::Predict(arguments) => apply::predict(&arguments, context),
        Command::Explain(arguments) => explain::run(&arguments, context),
        Command::Import(arguments) => convert::import(&arguments, context),
        Command::Export(arguments) => convert::export(&arguments, context),
        Command::Benchmark(arguments) => benchmark::run(&arguments, context),
        Command::Scale(arguments) => scale::run(&arguments, context),
    }
}
