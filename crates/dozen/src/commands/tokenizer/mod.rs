//! `dozen tokenizer`: byte-pair tokenizers.

mod convert;
mod encode;
mod inspect;
mod page;
mod tour;
mod train;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use dozen::text::Tokenizer;

use crate::context::Context;
use crate::output::Failure;

pub(crate) use tour::tour;

/// Of `--help`; each stands in the docs, where it is run.
pub(crate) const EXAMPLES: &str = concat!(
    "Examples:",
    "\n  dozen tokenizer train README.md docs --vocab-size 1500 --out runs/tok",
    "\n  dozen tokenizer encode --tokenizer runs/tok README.md --out ids.npy",
    "\n  dozen tokenizer count --tokenizer runs/tok README.md docs",
);

/// The family that a tokenizer's folder names.
pub(crate) const FAMILY: &str = "tokenizer";

/// The file of a tokenizer in its folder.
const TOKENIZER: &str = "tokenizer.json";

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Learn merges from texts
    Train(train::Arguments),
    /// Count the pieces of texts, for `train --inventory`
    Inventory(train::InventoryArguments),
    /// Turn text into ids
    Encode(encode::EncodeArguments),
    /// Turn ids into text
    Decode(encode::DecodeArguments),
    /// How many tokens texts have
    Count(encode::CountArguments),
    /// Write a tokenizer in another format
    Convert(convert::Arguments),
    /// Do two tokenizers give the same ids?
    Verify(inspect::VerifyArguments),
    /// Say what a tokenizer holds
    Info(inspect::InfoArguments),
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Train(arguments) => train::run(&arguments, context),
        Command::Inventory(arguments) => train::inventory(&arguments, context),
        Command::Encode(arguments) => encode::encode(&arguments, context),
        Command::Decode(arguments) => encode::decode(&arguments, context),
        Command::Count(arguments) => encode::count(&arguments, context),
        Command::Convert(arguments) => convert::run(&arguments, context),
        Command::Verify(arguments) => inspect::verify(&arguments, context),
        Command::Info(arguments) => inspect::info(&arguments, context),
    }
}

/// Which tokenizer.
#[derive(Args, Debug)]
struct Which {
    /// tokenizer.json, .tiktoken, merges.txt, vocab.json, a SentencePiece .model, or a folder with one
    #[arg(long, short, value_name = "FILE|DIR")]
    tokenizer: PathBuf,
    #[command(flatten)]
    pattern: PatternFlag,
}

#[derive(Args, Debug)]
struct PatternFlag {
    /// How texts are cut: gpt2, cl100k, o200k, llama3, qwen2 or a regular expression [default: what the file says]
    #[arg(long, value_name = "PATTERN")]
    pattern: Option<String>,
}

impl Which {
    fn open(&self) -> Result<Tokenizer, Failure> {
        Ok(Tokenizer::open(&self.tokenizer, self.pattern.pattern.as_deref())?)
    }
}

/// A token as a person may read it.
pub(crate) fn shown(token: &[u8]) -> String {
    match std::str::from_utf8(token) {
        Ok(text) => text.escape_debug().to_string(),
        Err(_) => token.iter().map(|byte| format!("\\x{byte:02x}")).collect(),
    }
}
