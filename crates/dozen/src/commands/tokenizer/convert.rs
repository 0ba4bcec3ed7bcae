//! `dozen tokenizer convert`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use dozen::data::{DataError, write_file};
use serde_json::json;

use super::PatternFlag;
use crate::context::Context;
use crate::output::{Failure, Results};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The tokenizer
    #[arg(value_name = "TOKENIZER")]
    tokenizer: PathBuf,
    #[command(flatten)]
    pattern: PatternFlag,
    /// The format
    #[arg(long, value_enum, value_name = "FORMAT")]
    to: Format,
    /// The file to write; for merges a folder, for vocab.json and merges.txt
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq)]
enum Format {
    /// Hugging Face's tokenizer.json
    #[value(name = "tokenizer.json")]
    HuggingFace,
    /// Lines of base64 and ranks; holds neither pattern nor special tokens
    Tiktoken,
    /// GPT-2's vocab.json and merges.txt
    Merges,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let tokenizer = dozen::text::Tokenizer::open(&arguments.tokenizer, arguments.pattern.pattern.as_deref())?;
    let out = &arguments.out;
    let files = match arguments.to {
        Format::HuggingFace => vec![(out.clone(), tokenizer.to_hugging_face()?)],
        Format::Tiktoken => vec![(out.clone(), tokenizer.to_tiktoken()?)],
        Format::Merges => {
            let (vocabulary, merges) = tokenizer.to_merges()?;
            std::fs::create_dir_all(out).map_err(|error| DataError::write(out, error))?;
            vec![(out.join("vocab.json"), vocabulary), (out.join("merges.txt"), merges)]
        }
    };
    for (file, text) in &files {
        write(file, text)?;
    }
    let names: Vec<String> = files.iter().map(|(file, _)| file.display().to_string()).collect();
    let json = json!({ "vocab_size": tokenizer.len(), "files": names });
    Results::new(json)
        .line(format!("{} tokens in {}", tokenizer.len(), names.join(" and ")))
        .print(context.json())
}

pub(super) fn write(file: &Path, text: &str) -> Result<(), Failure> {
    Ok(write_file(file, text)?)
}
