//! `dozen tokenizer train` and `inventory`.

use std::io::BufReader;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use dozen::data::write_with;
use dozen::nn::ModelFolder;
use dozen::text::{Inventory, Pattern, TieBreak, Tokenizer, TrainConfig, Trained, train};
use rayon::prelude::*;
use serde_json::json;

use super::page;
use super::{FAMILY, TOKENIZER};
use crate::context::Context;
use crate::output::{Failure, Results};
use crate::texts::Texts;
use crate::training::Out;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    texts: Texts,
    /// Tokens in all: 256 bytes, merges and special tokens
    #[arg(long, default_value_t = 32_768, value_name = "N")]
    vocab_size: usize,
    /// How texts are cut: gpt2, cl100k, o200k, llama3, qwen2 or a regular expression
    #[arg(long, default_value = "cl100k", value_name = "PATTERN")]
    pattern: String,
    #[command(flatten)]
    out: Out,
    /// Which of the pairs that occur equally often comes first
    #[arg(long, value_enum, default_value_t = TieBreak::HuggingFace, value_name = "RULE")]
    tie_break: TieBreak,
    /// A pair must occur so often to become a token
    #[arg(long, default_value_t = 2, value_name = "N")]
    min_frequency: u64,
    /// A token has at most so many bytes
    #[arg(long, value_name = "N")]
    max_token_length: Option<usize>,
    /// A special token; may be given more than once
    #[arg(long, value_name = "TOKEN")]
    special: Vec<String>,
    /// A tokenizer to go on from: its merges come first, whatever these texts say
    #[arg(long, alias = "resume", value_name = "FILE|DIR")]
    from: Option<PathBuf>,
    /// The files are inventories of pieces, from `inventory` or any engine that groups and counts
    #[arg(long)]
    inventory: bool,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let run = arguments.out.begin()?;
    let pattern = Pattern::new(&arguments.pattern)?;
    let begin = match &arguments.from {
        Some(path) => Tokenizer::open(path, Some(&arguments.pattern))?.merges(),
        None => Vec::new(),
    };
    let config = TrainConfig {
        begin,
        vocabulary: arguments.vocab_size,
        min_frequency: arguments.min_frequency,
        max_token_length: arguments.max_token_length,
        tie_break: arguments.tie_break,
        specials: arguments.special.clone(),
    };
    let progress = context.progress();
    let inventory = if arguments.inventory {
        read_inventories(&arguments.texts)?
    } else {
        count_pieces(&arguments.texts, &pattern)?
    };
    let count_seconds = started.elapsed().as_secs_f64();
    progress.say(&format!(
        "{} different pieces in {} bytes, counted in {count_seconds:.1} s",
        inventory.len(),
        inventory.bytes()
    ));
    let trained = train(&inventory, pattern, &config, |merges| {
        if merges % 10_000 == 0 {
            progress.say(&format!("{merges} merges"));
        }
        true
    })?;
    let seconds = started.elapsed().as_secs_f64();
    run.write_text(TOKENIZER, &trained.tokenizer.to_hugging_face()?)?;
    run.write_text("report.html", &page::report(&trained, &inventory, context.command_line())?.html())?;
    let settings = json!({
        "vocab_size": trained.tokenizer.len(),
        "pattern": arguments.pattern,
        "min_frequency": arguments.min_frequency,
        "max_token_length": arguments.max_token_length,
        "special": arguments.special,
    });
    ModelFolder::write_config(&run, FAMILY, &json!({ "model": settings }))?;
    let out = run.finish()?;
    let page = out.join("report.html").display().to_string();
    let Trained { tokenizer, counts } = &trained;
    let json = json!({
        "vocab_size": tokenizer.len(),
        "merges": counts.len(),
        "bytes": inventory.bytes(),
        "pieces": inventory.len(),
        "seconds": seconds,
        "count_seconds": count_seconds,
        "bytes_per_second": inventory.bytes() as f64 / seconds,
        "out": out.display().to_string(),
        "report": page,
    });
    let mut lines = vec![format!(
        "{} tokens, {} of them merges, from {} bytes in {seconds:.2} s",
        tokenizer.len(),
        counts.len(),
        inventory.bytes()
    )];
    if tokenizer.len() < arguments.vocab_size {
        lines.push(format!("no other pair occurs {} times", arguments.min_frequency.max(1)));
    }
    lines.push(format!("the tokenizer is {}", out.join(TOKENIZER).display()));
    lines.push(format!("the report is {page}"));
    Results::new(json).lines(lines).print(context.json())
}

#[derive(Args, Debug)]
pub(crate) struct InventoryArguments {
    #[command(flatten)]
    texts: Texts,
    /// How texts are cut: gpt2, cl100k, o200k, llama3, qwen2 or a regular expression
    #[arg(long, default_value = "cl100k", value_name = "PATTERN")]
    pattern: String,
    /// The file to write, a line for each piece: its bytes in base64, and how often it occurs
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn inventory(arguments: &InventoryArguments, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let inventory = count_pieces(&arguments.texts, &Pattern::new(&arguments.pattern)?)?;
    write_with(&arguments.out, |file| inventory.write(file))?;
    let seconds = started.elapsed().as_secs_f64();
    let json = json!({
        "pieces": inventory.len(),
        "bytes": inventory.bytes(),
        "seconds": seconds,
        "out": arguments.out.display().to_string(),
    });
    let line = format!(
        "{} different pieces in {} bytes, in {}",
        inventory.len(),
        inventory.bytes(),
        arguments.out.display()
    );
    Results::new(json).line(line).print(context.json())
}

/// Shares of a text are counted at once.
fn count_pieces(texts: &Texts, pattern: &Pattern) -> Result<Inventory, Failure> {
    let mut all = Inventory::new();
    texts.each(|text| {
        let ends = pattern.shares(text, text.len().div_ceil(rayon::current_num_threads()).max(1 << 20));
        if ends.len() == 2 {
            return Ok(all.count(pattern, text)?);
        }
        let count = |ends: &[usize]| {
            let mut part = Inventory::new();
            part.count(pattern, &text[ends[0]..ends[1]]).map(|()| part)
        };
        let parts: Vec<Inventory> = ends.par_windows(2).map(count).collect::<Result<_, _>>()?;
        for part in &parts {
            all.merge(part);
        }
        Ok(())
    })?;
    Ok(all)
}

fn read_inventories(texts: &Texts) -> Result<Inventory, Failure> {
    let mut all = Inventory::new();
    for file in texts.files()? {
        all.read(BufReader::new(dozen::data::open_stream(&file)?))?;
    }
    Ok(all)
}
