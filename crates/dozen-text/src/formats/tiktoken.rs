//! `.tiktoken`: a line `base64(token) rank` for each token; the rank is the id and the order of merging.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{Error, Pattern, Tokenizer};

/// The pattern and the special tokens of files that OpenAI publishes (openai/tiktoken, `openai_public.py`).
pub(super) fn known(stem: &str) -> (Option<&'static str>, Vec<(String, u32)>) {
    let special = |names: &[(&str, u32)]| names.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect();
    match stem {
        "r50k_base" | "p50k_base" | "gpt2" => (Some("gpt2"), special(&[("<|endoftext|>", 50256)])),
        "cl100k_base" => (
            Some("cl100k"),
            special(&[
                ("<|endoftext|>", 100_257),
                ("<|fim_prefix|>", 100_258),
                ("<|fim_middle|>", 100_259),
                ("<|fim_suffix|>", 100_260),
                ("<|endofprompt|>", 100_276),
            ]),
        ),
        "o200k_base" => (Some("o200k"), special(&[("<|endoftext|>", 199_999), ("<|endofprompt|>", 200_018)])),
        _ => (None, Vec::new()),
    }
}

pub(super) fn parse(bytes: &[u8], pattern: Pattern, specials: &[(String, u32)]) -> Result<Tokenizer, Error> {
    let mut tokens: Vec<(Vec<u8>, u32)> = Vec::with_capacity(bytes.len() / 16);
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let wrong = |what: &str| {
            let line = String::from_utf8_lossy(&line[..line.len().min(40)]).into_owned();
            Error::Vocabulary(format!(
                "line {number}, `{line}`, is not a token in base64, a blank and a rank: {what}"
            ))
        };
        let blank = line.iter().position(|byte| *byte == b' ').ok_or_else(|| wrong("there is no blank"))?;
        let token = STANDARD.decode(&line[..blank]).map_err(|error| wrong(&error.to_string()))?;
        let rank = std::str::from_utf8(&line[blank + 1..]).ok().and_then(|rank| rank.trim().parse().ok());
        tokens.push((token, rank.ok_or_else(|| wrong("the rank is no number"))?));
    }
    if !tokens.is_sorted_by_key(|(_, rank)| *rank) {
        tokens.sort_by_key(|(_, rank)| *rank);
    }
    Tokenizer::new(&tokens, pattern, specials)
}

pub(super) fn write(tokenizer: &Tokenizer) -> Result<String, Error> {
    let no = |problem: &str| Err(Error::Request(format!("this tokenizer is no .tiktoken file: {problem}")));
    let vocabulary = &tokenizer.rules().vocabulary;
    if tokenizer.is_sentence_piece() {
        return no("it is of SentencePiece, whose merges begin with characters");
    }
    if vocabulary.mergeable() < vocabulary.len() {
        return no("it has tokens that no merge makes");
    }
    if !tokenizer.tokens().is_sorted_by_key(|(_, id)| id) {
        return no("its ids are not in the order of its merges");
    }
    Ok(tokenizer.tokens().map(|(token, id)| format!("{} {id}\n", STANDARD.encode(token))).collect())
}
