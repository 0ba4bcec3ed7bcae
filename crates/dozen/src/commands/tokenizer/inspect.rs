//! `dozen tokenizer verify` and `info`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use dozen::text::{Token, Tokenizer};
use serde_json::{Value, json};

use super::{PatternFlag, page, shown};
use crate::context::Context;
use crate::output::{Failure, Results};
use crate::texts::Texts;

#[derive(Args, Debug)]
pub(crate) struct VerifyArguments {
    /// A tokenizer
    #[arg(value_name = "A")]
    first: PathBuf,
    /// Another
    #[arg(value_name = "B")]
    second: PathBuf,
    #[command(flatten)]
    texts: Texts,
    #[command(flatten)]
    pattern: PatternFlag,
}

pub(super) fn verify(arguments: &VerifyArguments, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let open = |path| Tokenizer::open(path, arguments.pattern.pattern.as_deref());
    let (a, b) = (open(&arguments.first)?, open(&arguments.second)?);
    let (mut tokens, mut bytes) = (0, 0);
    let mut difference = None;
    arguments.texts.each(|text| {
        if difference.is_none() {
            let ids = a.encode_bytes(text)?;
            if ids != b.encode_bytes(text)? {
                difference = Some(first_difference(&a, &b, text, (tokens, bytes))?);
            }
            tokens += ids.len();
            bytes += text.len();
        }
        Ok(())
    })?;
    let (json_difference, line) = difference.unzip();
    let json = json!({
        "identical": line.is_none(),
        "tokens": tokens,
        "bytes": bytes,
        "difference": json_difference,
        "seconds": started.elapsed().as_secs_f64(),
    });
    let lines = match &line {
        Some(line) => vec![line.clone()],
        None => vec![format!("identical: {tokens} tokens of {bytes} bytes")],
    };
    Results::new(json).lines(lines).print(context.json())?;
    // A script may go by the exit code.
    if line.is_some() { Err(Failure::Run("the tokenizers differ".into())) } else { Ok(()) }
}

/// The first piece of which two tokenizers make different tokens, and why.
fn first_difference(
    a: &Tokenizer,
    b: &Tokenizer,
    text: &[u8],
    before: (usize, usize),
) -> Result<(Value, String), Failure> {
    let (ours, theirs) = (a.offsets(text)?, b.offsets(text)?);
    let same = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
    let start = ours.get(same).or(theirs.get(same)).map_or(text.len(), |token| token.range.start);
    // Up to where both end a token again.
    let ends = |tokens: &[Token]| tokens[same..].iter().map(|token| token.range.end).collect::<Vec<_>>();
    let (ends_a, ends_b) = (ends(&ours), ends(&theirs));
    let end = ends_a.iter().copied().find(|end| ends_b.contains(end)).unwrap_or(text.len());
    let part = |tokens: &[Token]| {
        tokens[same..]
            .iter()
            .take_while(|token| token.range.end <= end)
            .map(|token| token.id)
            .collect::<Vec<_>>()
    };
    let (ids_a, ids_b) = (part(&ours), part(&theirs));
    let piece_ends = |tokenizer: &Tokenizer| -> Result<Vec<usize>, Failure> {
        let mut ends = Vec::new();
        tokenizer.pattern().each_end(text, |place| {
            if (start..=end).contains(&place) {
                ends.push(place);
            }
        })?;
        Ok(ends)
    };
    let why = if piece_ends(a)? != piece_ends(b)? {
        "their patterns cut the text differently there"
    } else if ends_a.first() == ends_b.first() {
        "the same bytes have other ids"
    } else {
        "their merges differ"
    };
    let words = |ids: &[u32], of: &Tokenizer| -> Vec<String> {
        ids.iter().map(|id| shown(of.token(*id).unwrap_or_default())).collect()
    };
    let (token, byte) = (before.0 + same, before.1 + start);
    let shown_text = shown(&text[start..end]);
    let json = json!({
        "token": token,
        "byte": byte,
        "text": shown_text,
        "why": why,
        "a": { "ids": ids_a, "tokens": words(&ids_a, a) },
        "b": { "ids": ids_b, "tokens": words(&ids_b, b) },
    });
    let line = format!(
        "token {token}, byte {byte}, `{shown_text}`: {ids_a:?} and {ids_b:?}, that is {:?} and {:?}; {why}",
        words(&ids_a, a),
        words(&ids_b, b)
    );
    Ok((json, line))
}

#[derive(Args, Debug)]
pub(crate) struct InfoArguments {
    /// The tokenizer
    #[arg(value_name = "TOKENIZER")]
    tokenizer: PathBuf,
    #[command(flatten)]
    pattern: PatternFlag,
}

pub(super) fn info(arguments: &InfoArguments, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let tokenizer = Tokenizer::open(&arguments.tokenizer, arguments.pattern.pattern.as_deref())?;
    let unreachable = tokenizer.unreachable();
    let scripts = page::scripts(&tokenizer);
    let pattern = tokenizer.pattern().name().or(tokenizer.pattern().expression());
    let longest = tokenizer.tokens().max_by_key(|(token, _)| token.len());
    let mut lines = vec![
        format!(
            "{} ids: {} tokens and {} special ones",
            tokenizer.len(),
            tokenizer.tokens().len(),
            tokenizer.specials().len()
        ),
        format!("pattern {}", pattern.unwrap_or("none")),
    ];
    if let Some((token, id)) = longest {
        lines.push(format!("the longest token is {id}, {} bytes: `{}`", token.len(), shown(token)));
    }
    lines.extend(
        scripts
            .iter()
            .map(|(name, count, mean)| format!("{count:>8} tokens {name}, {mean:.1} bytes on average")),
    );
    lines.push(match unreachable.len() {
        0 => "every token is what its bytes merge into".into(),
        count => format!(
            "{count} tokens are not what their bytes merge into, such as {:?}",
            shown(unreachable[0].0)
        ),
    });
    let of = |(token, id): &(&[u8], u32)| json!({ "id": id, "token": shown(token) });
    let json = json!({
        "vocab_size": tokenizer.len(),
        "tokens": tokenizer.tokens().len(),
        "special": tokenizer.specials().iter().map(|(name, id)| json!({ "id": id, "token": name })).collect::<Vec<_>>(),
        "pattern": pattern,
        "scripts": scripts.iter().map(|(name, count, mean)| json!({ "script": name, "tokens": count, "bytes_per_token": mean })).collect::<Vec<_>>(),
        "unreachable": unreachable.iter().take(100).map(of).collect::<Vec<_>>(),
        "unreachable_count": unreachable.len(),
        "seconds": started.elapsed().as_secs_f64(),
    });
    Results::new(json).lines(lines).print(context.json())
}
