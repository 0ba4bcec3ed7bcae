//! `dozen word2vec`: word vectors.

mod convert;
mod corpus;
mod embed;
mod eval;
mod model;
mod neighbours;
mod page;
mod phrases;
mod project;
mod query;
mod tour;
mod train;

use clap::Subcommand;

use crate::context::Context;
use crate::output::Failure;

pub(crate) use model::open as open_vectors;
pub(crate) use tour::tour;

/// Of `--help`; each stands in the docs, where it is run.
pub(crate) const EXAMPLES: &str = concat!(
    "Examples:",
    "\n  dozen word2vec train corpus.txt --dim 50 --epochs 3 --subsampling none --out runs/vec",
    "\n  dozen word2vec nearest docs.txt.gz distance -n 5",
    "\n  dozen word2vec embed runs/docs README.md --pooling sif --out lines.csv",
);

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Learn vectors from texts
    Train(Box<train::Arguments>),
    /// The words nearest to a word, or to the mean of several
    Nearest(query::NearestArguments),
    /// A is to B as C is to ...
    Analogy(query::AnalogyArguments),
    /// The cosine between two words
    Similarity(query::SimilarityArguments),
    /// The word that does not belong with the others
    DoesntMatch(query::DoesntMatchArguments),
    /// The nearest words of every word, exactly or approximately
    Neighbours(neighbours::Arguments),
    /// A vector for each line of texts
    Embed(embed::Arguments),
    /// A picture of the vectors: principal components or t-SNE
    Project(project::Arguments),
    /// Judgements of similarity and analogies
    Eval(eval::Arguments),
    /// Join words that stand together more often than by chance
    Phrases(phrases::Arguments),
    /// Write vectors in another format
    Convert(convert::Arguments),
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Train(arguments) => train::run(&arguments, context),
        Command::Nearest(arguments) => query::nearest(&arguments, context),
        Command::Analogy(arguments) => query::analogy(&arguments, context),
        Command::Similarity(arguments) => query::similarity(&arguments, context),
        Command::DoesntMatch(arguments) => query::doesnt_match(&arguments, context),
        Command::Neighbours(arguments) => neighbours::run(&arguments, context),
        Command::Embed(arguments) => embed::run(&arguments, context),
        Command::Project(arguments) => project::run(&arguments, context),
        Command::Eval(arguments) => eval::run(&arguments, context),
        Command::Phrases(arguments) => phrases::run(&arguments, context),
        Command::Convert(arguments) => convert::run(&arguments, context),
    }
}
