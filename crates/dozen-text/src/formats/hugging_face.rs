//! `tokenizer.json` of Hugging Face's tokenizers, and GPT-2's `vocab.json` and `merges.txt`, for byte-level BPE.
//!
//! There a merge is a pair of tokens, and here a token's bytes and place in the order are enough: the same, for tokens that
//! their own bytes merge into. Which those are is found out token by token; no merge makes any other, ever (see `merge.rs`).

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::merge::{Units, splits};
use crate::reduce::reduce;
use crate::{Error, Pattern, Tokenizer};

/// The characters that byte-level BPE writes bytes as: printable ones of Latin-1 as they are, and from U+0100 on for the
/// others (openai/gpt-2, `bytes_to_unicode`).
pub(crate) fn alphabet() -> [char; 256] {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let mut next = 0x100;
    std::array::from_fn(|byte| {
        if printable(byte as u8) {
            byte as u8 as char
        } else {
            next += 1;
            char::from_u32(next - 1).unwrap_or('?')
        }
    })
}

fn wrong(problem: impl Into<String>) -> Error {
    Error::Vocabulary(problem.into())
}

fn refuse(feature: &str, value: &Value) -> Error {
    wrong(format!("{feature} is {value}, which this program does not do"))
}

/// As much of a model as both kinds of file have.
struct Model {
    vocabulary: Vec<(String, u32)>,
    merges: Vec<(String, String)>,
    /// A piece that is a token is that token, whether merges make it or not.
    ignore_merges: bool,
}

impl Model {
    fn tokenizer(
        self,
        pattern: Pattern,
        mut specials: Vec<(String, u32)>,
        added: bool,
    ) -> Result<Tokenizer, Error> {
        let bytes: HashMap<char, u8> = alphabet().into_iter().zip(0..=255).collect();
        let ids: HashMap<&str, u32> = self.vocabulary.iter().map(|(token, id)| (&token[..], *id)).collect();
        let mut pairs: HashMap<(u32, u32), (u32, u32)> = HashMap::with_capacity(self.merges.len());
        for (rank, (left, right)) in (0..).zip(&self.merges) {
            let id = |token: &str| {
                ids.get(token).copied().ok_or_else(|| {
                    wrong(format!("merge {rank}, `{left} {right}`: there is no token `{token}`"))
                })
            };
            let product = id(&format!("{left}{right}"))?;
            pairs.entry((id(left)?, id(right)?)).or_insert((rank, product));
        }
        let mut byte_ids = [None; 256];
        let mut tokens = Vec::with_capacity(self.vocabulary.len());
        for (token, id) in &self.vocabulary {
            if specials.iter().any(|(_, special)| special == id) {
                continue;
            }
            let known: Option<Vec<u8>> =
                token.chars().map(|character| bytes.get(&character).copied()).collect();
            match known {
                Some(known) => {
                    if let [byte] = known[..] {
                        byte_ids[usize::from(byte)] = Some(*id);
                    }
                    tokens.push((known, token, *id));
                }
                None => {
                    return Err(wrong(format!(
                        "the token {id}, `{token}`, is not written in bytes, nor is it added"
                    )));
                }
            }
        }
        let mut ranked = Vec::with_capacity(tokens.len());
        let mut others = Vec::new();
        for (token, name, id) in tokens {
            match last_merge(&token, &byte_ids, &pairs) {
                Some((made, rank)) if made == id => ranked.push((rank, token, id)),
                // A word that stands alone in a vocabulary without a list of added tokens is one.
                _ if !added && pairs.values().all(|(_, made)| *made != id) => {
                    specials.push((name.clone(), id));
                }
                _ => others.push((token, id)),
            }
        }
        ranked.sort_by_key(|(rank, ..)| *rank);
        let mergeable = ranked.len();
        let mut tokens: Vec<(Vec<u8>, u32)> = ranked.into_iter().map(|(_, token, id)| (token, id)).collect();
        if self.ignore_merges {
            tokens.append(&mut others);
        }
        Tokenizer::with_whole(&tokens, mergeable, pattern, &specials)?.with_others(others)
    }
}

/// What a token's bytes merge into, if it is one token, and one more than the last merge's rank; zero for a byte.
fn last_merge(
    token: &[u8],
    byte_ids: &[Option<u32>; 256],
    pairs: &HashMap<(u32, u32), (u32, u32)>,
) -> Option<(u32, u32)> {
    let parts: Vec<u32> = token.iter().map(|byte| byte_ids[usize::from(*byte)]).collect::<Option<_>>()?;
    let reduced = reduce(parts, |left, right| pairs.get(&(*left, *right)).copied());
    let [made] = reduced.parts[..] else { return None };
    let last = match reduced.last {
        Some((left, right, _)) => pairs.get(&(left, right))?.0 + 1,
        None => 0,
    };
    Some((made, last))
}

pub(super) fn parse(bytes: &[u8], pattern: Option<Pattern>) -> Result<Tokenizer, Error> {
    let file: Value =
        serde_json::from_slice(bytes).map_err(|error| wrong(format!("this is no JSON: {error}")))?;
    let model = &file["model"];
    // Older files do not name their model's kind.
    if !matches!(model["type"].as_str(), Some("BPE") | None) || !model["merges"].is_array() {
        return Err(refuse("the model", &model["type"]));
    }
    for feature in ["dropout", "continuing_subword_prefix", "end_of_word_suffix"] {
        if !matches!(&model[feature], Value::Null) && model[feature] != json!("") {
            return Err(refuse(feature, &model[feature]));
        }
    }
    if model["byte_fallback"] == json!(true) {
        return Err(refuse("byte_fallback", &model["byte_fallback"]));
    }
    if !file["normalizer"].is_null() {
        return Err(refuse("the normalizer", &file["normalizer"]["type"]));
    }
    let said = pattern_of(&file["pre_tokenizer"])?;
    let vocabulary = vocabulary_of(&model["vocab"])?;
    let merge = |(place, merge): (usize, &Value)| {
        let pair = match merge {
            Value::String(words) => {
                words.split_once(' ').map(|(left, right)| (left.to_owned(), right.to_owned()))
            }
            Value::Array(words) => match &words[..] {
                [Value::String(left), Value::String(right)] => Some((left.clone(), right.clone())),
                _ => None,
            },
            _ => None,
        };
        pair.ok_or_else(|| wrong(format!("merge {place} is {merge}, no pair of tokens")))
    };
    let merges =
        model["merges"].as_array().into_iter().flatten().enumerate().map(merge).collect::<Result<_, _>>()?;
    let mut specials = Vec::new();
    for added in file["added_tokens"].as_array().into_iter().flatten() {
        let (Some(content), Some(id)) = (added["content"].as_str(), added["id"].as_u64()) else {
            return Err(wrong(format!("{added} is no added token")));
        };
        for feature in ["lstrip", "rstrip", "single_word"] {
            if added[feature] == json!(true) {
                return Err(refuse(&format!("{feature} of `{content}`"), &added[feature]));
            }
        }
        let id = u32::try_from(id).map_err(|_| {
            wrong(format!("the added token `{content}` has the id {id}, which is more than 32 bits hold"))
        })?;
        specials.push((content.to_owned(), id));
    }
    let ignore_merges = model["ignore_merges"] == json!(true);
    Model { vocabulary, merges, ignore_merges }.tokenizer(pattern.unwrap_or(said), specials, true)
}

fn vocabulary_of(value: &Value) -> Result<Vec<(String, u32)>, Error> {
    let entries = value.as_object().ok_or_else(|| wrong("there is no vocabulary of tokens and ids"))?;
    let entry = |(token, id): (&String, &Value)| {
        let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
        id.map(|id| (token.clone(), id))
            .ok_or_else(|| wrong(format!("the token `{token}` has no whole number as its id")))
    };
    entries.iter().map(entry).collect()
}

/// The pattern of `ByteLevel`, alone or after a `Split`.
fn pattern_of(value: &Value) -> Result<Pattern, Error> {
    let steps: Vec<&Value> = match value["type"].as_str() {
        Some("Sequence") => value["pretokenizers"].as_array().into_iter().flatten().collect(),
        _ => vec![value],
    };
    let mut pattern = None;
    let mut bytes = false;
    for step in steps {
        match step["type"].as_str() {
            Some("ByteLevel") => {
                if step["add_prefix_space"] == json!(true) {
                    return Err(refuse("add_prefix_space", &step["add_prefix_space"]));
                }
                bytes = true;
                if step["use_regex"] != json!(false) {
                    if pattern.is_some() {
                        return Err(wrong(
                            "two patterns one after the other are what this program does not do",
                        ));
                    }
                    pattern = Some(Pattern::new("gpt2")?);
                }
            }
            Some("Split") if pattern.is_none() && !bytes && step["invert"] != json!(true) => {
                if step["behavior"] != json!("Isolated") {
                    return Err(refuse("the behavior of Split", &step["behavior"]));
                }
                let expression = step["pattern"]["Regex"]
                    .as_str()
                    .ok_or_else(|| refuse("the pattern of Split", &step["pattern"]))?;
                pattern = Some(Pattern::new(expression)?);
            }
            _ => return Err(refuse("the pre-tokenizer", &step["type"])),
        }
    }
    match pattern {
        Some(pattern) if bytes => Ok(pattern),
        _ => Err(refuse("the pre-tokenizer", &value["type"])),
    }
}

pub(super) fn parse_pair(
    vocabulary: &[u8],
    merges: &[u8],
    pattern: Option<Pattern>,
) -> Result<Tokenizer, Error> {
    let vocabulary: Value = serde_json::from_slice(vocabulary)
        .map_err(|error| wrong(format!("vocab.json is no JSON: {error}")))?;
    let text = std::str::from_utf8(merges).map_err(|_| wrong("merges.txt is not UTF-8"))?;
    let mut pairs = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.is_empty() || (number == 1 && line.starts_with("#version")) {
            continue;
        }
        match line.split_once(' ') {
            Some((left, right)) => pairs.push((left.to_owned(), right.to_owned())),
            None => {
                return Err(wrong(format!("line {number} of merges.txt, `{line}`, is no pair of tokens")));
            }
        }
    }
    let model = Model { vocabulary: vocabulary_of(&vocabulary)?, merges: pairs, ignore_merges: false };
    let pattern = pattern.map_or_else(|| Pattern::new("gpt2"), Ok)?;
    model.tokenizer(pattern, Vec::new(), false)
}

/// A vocabulary, its merges, and whether it has tokens that no merge makes.
type Written = (Map<String, Value>, Vec<[String; 2]>, bool);

/// Tokens as they are written, and the merges that make them, in order.
fn written(tokenizer: &Tokenizer) -> Result<Written, Error> {
    if tokenizer.is_sentence_piece() {
        return Err(Error::Request(
            "a tokenizer of SentencePiece's cannot be written as byte-level BPE".into(),
        ));
    }
    let alphabet = alphabet();
    let name = |token: &[u8]| token.iter().map(|byte| alphabet[usize::from(*byte)]).collect::<String>();
    let vocabulary = &tokenizer.rules().vocabulary;
    let mut all: Vec<(u32, String)> = tokenizer.tokens().map(|(token, id)| (id, name(token))).collect();
    all.extend(tokenizer.others().iter().map(|(token, id)| (*id, name(token))));
    all.sort_unstable();
    let mut merges = Vec::new();
    let mut whole = false;
    for (index, split) in (0..).zip(splits(vocabulary, Units::Bytes)) {
        match split {
            Some((left, right)) => merges.push([left, right].map(|part| name(vocabulary.token(part)))),
            None => whole |= vocabulary.token(index).len() > 1,
        }
    }
    Ok((all.into_iter().map(|(id, name)| (name, id.into())).collect(), merges, whole))
}

pub(super) fn write(tokenizer: &Tokenizer) -> Result<String, Error> {
    let (vocabulary, merges, whole) = written(tokenizer)?;
    let added = |(content, id): &(String, u32)| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    };
    let bytes = |regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex});
    let pattern = tokenizer.pattern();
    let pre_tokenizer = match (pattern.name(), pattern.expression()) {
        (Some("gpt2"), _) | (_, None) => bytes(true),
        (_, Some(expression)) => json!({"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": false}, bytes(false)]}),
    };
    let file = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": tokenizer.specials().iter().map(added).collect::<Vec<_>>(),
        "normalizer": null,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": bytes(true),
        "decoder": bytes(true),
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                  "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": whole,
                  "vocab": vocabulary, "merges": merges},
    });
    Ok(file.to_string())
}

pub(super) fn write_pair(tokenizer: &Tokenizer) -> Result<(String, String), Error> {
    let (mut vocabulary, merges, whole) = written(tokenizer)?;
    if whole {
        let problem = "it has tokens that no merge makes, which merges.txt cannot say";
        return Err(Error::Request(problem.into()));
    }
    vocabulary.extend(tokenizer.specials().iter().map(|(name, id)| (name.clone(), (*id).into())));
    let merges: String = merges.iter().map(|[left, right]| format!("{left} {right}\n")).collect();
    Ok((Value::Object(vocabulary).to_string(), format!("#version: 0.2\n{merges}")))
}
