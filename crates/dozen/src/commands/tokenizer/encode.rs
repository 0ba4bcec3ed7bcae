//! `dozen tokenizer encode`, `decode` and `count`.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use dozen::data::{write_array, write_file};
use dozen::text::Special;
use serde_json::json;

use super::{Which, shown};
use crate::context::Context;
use crate::output::{Failure, Results, print_bytes};
use crate::texts::{Texts, as_text, read_all, read_ids};

#[derive(Args, Debug)]
pub(crate) struct EncodeArguments {
    #[command(flatten)]
    which: Which,
    /// A file of text, compressed or not; - is standard input
    #[arg(value_name = "INPUT")]
    input: String,
    /// The file of ids to write: .npy, 32 bits each
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Show the tokens one by one: id, place, text
    #[arg(long, conflicts_with = "out")]
    text: bool,
    /// What special tokens in the text are
    #[arg(long, value_enum, default_value_t = SpecialFlag::Refuse, value_name = "WHAT")]
    special: SpecialFlag,
    /// The input is any bytes, not UTF-8
    #[arg(long, conflicts_with = "special")]
    bytes: bool,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum SpecialFlag {
    /// A mistake
    Refuse,
    /// Ordinary text
    Text,
    /// Special
    Allow,
}

pub(super) fn encode(arguments: &EncodeArguments, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let tokenizer = arguments.which.open()?;
    let load_seconds = started.elapsed().as_secs_f64();
    let bytes = read_all(&arguments.input)?;
    let encoded = Instant::now();
    let ids = if arguments.bytes {
        tokenizer.encode_bytes(&bytes)?
    } else {
        let special = match arguments.special {
            SpecialFlag::Refuse => Special::Refuse,
            SpecialFlag::Text => Special::Text,
            SpecialFlag::Allow => Special::All,
        };
        tokenizer.encode(as_text(&arguments.input, &bytes)?, special)?
    };
    let seconds = encoded.elapsed().as_secs_f64();
    let mut json = json!({
        "tokens": ids.len(),
        "bytes": bytes.len(),
        "seconds": seconds,
        "load_seconds": load_seconds,
    });
    let lines = if let Some(out) = &arguments.out {
        write_array(out, "<u4", &[ids.len()], ids.iter().map(|id| id.to_le_bytes()))?;
        json["out"] = out.display().to_string().into();
        vec![format!("{} tokens of {} bytes in {}", ids.len(), bytes.len(), out.display())]
    } else {
        json["ids"] = ids.clone().into();
        if arguments.text {
            let mut place = 0;
            let line = |id: &u32| {
                let token = tokenizer.token(*id).unwrap_or_default();
                let line = format!("{id:>7} {place:>7}  {}", shown(token));
                place += token.len();
                line
            };
            ids.iter().map(line).collect()
        } else {
            vec![ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")]
        }
    };
    Results::new(json).lines(lines).print(context.json())
}

#[derive(Args, Debug)]
pub(crate) struct DecodeArguments {
    #[command(flatten)]
    which: Which,
    /// A .npy file of ids, or text with numbers in it; - is standard input
    #[arg(value_name = "IDS")]
    ids: String,
    /// The file to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn decode(arguments: &DecodeArguments, context: &Context) -> Result<(), Failure> {
    let tokenizer = arguments.which.open()?;
    let ids = read_ids(&arguments.ids)?;
    let started = Instant::now();
    let bytes = tokenizer.decode_bytes(&ids)?;
    let seconds = started.elapsed().as_secs_f64();
    let mut json = json!({ "tokens": ids.len(), "bytes": bytes.len(), "seconds": seconds });
    if let Some(out) = &arguments.out {
        write_file(out, &bytes)?;
        json["out"] = out.display().to_string().into();
        let line = format!("{} bytes of {} tokens in {}", bytes.len(), ids.len(), out.display());
        Results::new(json).line(line).print(context.json())?;
    } else if context.json() {
        json["text"] = String::from_utf8_lossy(&bytes).into();
        Results::new(json).print(true)?;
    } else {
        print_bytes(&bytes)?;
    }
    Ok(())
}

#[derive(Args, Debug)]
pub(crate) struct CountArguments {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    texts: Texts,
}

pub(super) fn count(arguments: &CountArguments, context: &Context) -> Result<(), Failure> {
    let tokenizer = arguments.which.open()?;
    let started = Instant::now();
    let (mut files, mut lines) = (Vec::new(), Vec::new());
    let (mut tokens, mut bytes) = (0, 0);
    for file in arguments.texts.files()? {
        let (mut own_tokens, mut own_bytes) = (0, 0);
        arguments.texts.each_of(&file, &mut |text| {
            own_tokens += tokenizer.count(text)?;
            own_bytes += text.len();
            Ok(())
        })?;
        files.push(json!({ "file": file, "tokens": own_tokens, "bytes": own_bytes }));
        lines.push(format!("{own_tokens:>12} {file}"));
        (tokens, bytes) = (tokens + own_tokens, bytes + own_bytes);
    }
    if files.len() > 1 {
        lines.push(format!("{tokens:>12} in all"));
    }
    let seconds = started.elapsed().as_secs_f64();
    let json = json!({ "tokens": tokens, "bytes": bytes, "files": files, "seconds": seconds });
    Results::new(json).lines(lines).print(context.json())
}
