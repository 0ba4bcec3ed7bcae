//! `.model` of SentencePiece's, of the kind BPE with byte fallback, such as that of LLaMA 2. Merges begin with characters,
//! the best score first; a blank is written as U+2581; a character that is no token becomes its bytes.

use crate::encode::Rules;
use crate::merge::{Units, splits};
use crate::tokenizer::{BLANK, SentencePiece};
use crate::vocabulary::Vocabulary;
use crate::{Error, Pattern, Tokenizer};

fn wrong(problem: impl Into<String>) -> Error {
    Error::Vocabulary(problem.into())
}

/// A field of a protocol buffer.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Float(f32),
}

/// The fields of a message: `(number, value)` (protobuf.dev, "Encoding").
fn fields(mut bytes: &[u8]) -> Result<Vec<(u64, Field<'_>)>, Error> {
    let cut = || wrong("this is no model of SentencePiece's, or it is cut off");
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = number(&mut bytes).ok_or_else(cut)?;
        let field = match tag & 7 {
            0 => Field::Number(number(&mut bytes).ok_or_else(cut)?),
            1 => {
                bytes = bytes.get(8..).ok_or_else(cut)?;
                continue;
            }
            2 => {
                let length = number(&mut bytes).ok_or_else(cut)? as usize;
                let (value, rest) = bytes.split_at_checked(length).ok_or_else(cut)?;
                bytes = rest;
                Field::Bytes(value)
            }
            5 => {
                let (value, rest) = bytes.split_first_chunk().ok_or_else(cut)?;
                bytes = rest;
                Field::Float(f32::from_le_bytes(*value))
            }
            _ => return Err(cut()),
        };
        fields.push((tag >> 3, field));
    }
    Ok(fields)
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A flag among fields, or what it is where it is not said.
fn flag(fields: &[(u64, Field<'_>)], wanted: u64, default: bool) -> bool {
    let found = fields.iter().rev().find_map(|(number, field)| match field {
        Field::Number(value) if *number == wanted => Some(*value != 0),
        _ => None,
    });
    found.unwrap_or(default)
}

pub(super) fn parse(bytes: &[u8]) -> Result<Tokenizer, Error> {
    let mut pieces: Vec<(f32, String, u32)> = Vec::new();
    let mut specials = Vec::new();
    let mut others = Vec::new();
    let mut byte_ids = [None; 256];
    let mut id = 0;
    let mut is_bpe = false;
    let mut blank_first = true;
    for (number, field) in fields(bytes)? {
        let Field::Bytes(message) = field else { continue };
        match number {
            1 => {
                let (mut name, mut score, mut kind) = (String::new(), 0.0, 1);
                for field in fields(message)? {
                    match field {
                        (1, Field::Bytes(bytes)) => {
                            name = String::from_utf8(bytes.to_vec())
                                .map_err(|_| wrong(format!("piece {id} is not UTF-8")))?;
                        }
                        (2, Field::Float(value)) => score = value,
                        (3, Field::Number(value)) => kind = value,
                        _ => {}
                    }
                }
                match kind {
                    1 => pieces.push((score, name, id)),
                    2 | 3 => specials.push((name, id)),
                    6 => {
                        let byte = name.strip_prefix("<0x").and_then(|name| name.strip_suffix('>'));
                        let byte = byte.and_then(|byte| u8::from_str_radix(byte, 16).ok());
                        let byte = byte.ok_or_else(|| wrong(format!("the piece `{name}` is no byte")))?;
                        byte_ids[usize::from(byte)] = Some(id);
                        others.push((vec![byte], id));
                    }
                    _ => {
                        let kind = if kind == 4 { "user-defined" } else { "unused" };
                        return Err(wrong(format!(
                            "the piece `{name}` is {kind}, which this program does not do"
                        )));
                    }
                }
                id += 1;
            }
            2 => is_bpe = fields(message)?.iter().any(|field| matches!(field, (3, Field::Number(2)))),
            3 => {
                let fields = fields(message)?;
                if fields.iter().any(|field| matches!(field, (2, Field::Bytes(rules)) if !rules.is_empty())) {
                    return Err(wrong("its texts are normalized by rules, which this program does not do"));
                }
                if flag(&fields, 4, true) {
                    return Err(wrong("remove_extra_whitespaces is set, which this program does not do"));
                }
                if !flag(&fields, 5, true) {
                    return Err(wrong("escape_whitespaces is not set, which this program does not do"));
                }
                blank_first = flag(&fields, 3, true);
            }
            _ => {}
        }
    }
    if !is_bpe {
        return Err(wrong("the model is not of the kind BPE, the only one that this program does"));
    }
    let byte_ids: Vec<u32> = byte_ids
        .into_iter()
        .collect::<Option<_>>()
        .ok_or_else(|| wrong("there is no byte fallback; texts would lose characters"))?;
    pieces.sort_by(|(a, _, _), (b, _, _)| b.total_cmp(a));
    let longer = |name: &str| name.chars().nth(1).is_some();
    if let Some(pair) =
        pieces.windows(2).find(|pair| pair[0].0 == pair[1].0 && longer(&pair[0].1) && longer(&pair[1].1))
    {
        return Err(wrong(format!("the pieces `{}` and `{}` have one score", pair[0].1, pair[1].1)));
    }
    let of = |pieces: &[(f32, String, u32)]| {
        Vocabulary::new(pieces.iter().map(|(_, name, id)| (name.as_bytes(), *id)), pieces.len())
    };
    // Pieces that their own characters do not merge into.
    let mut made = splits(&of(&pieces)?, Units::Characters).into_iter();
    pieces.retain(|(_, name, id)| {
        let keep = made.next().flatten().is_some() || !longer(name);
        if !keep {
            others.push((name.as_bytes().to_vec(), *id));
        }
        keep
    });
    let vocabulary = of(&pieces)?;
    // Where no token has a blank after another character, texts can be cut before blanks.
    let within = |name: &str| name.trim_start_matches(BLANK).contains(BLANK);
    let pattern = if pieces.iter().any(|(_, name, _)| within(name)) {
        Pattern::whole()
    } else {
        Pattern::regex(&format!("{BLANK}*[^{BLANK}]+|{BLANK}+"))?
    };
    let byte_ids: Option<Box<[u32; 256]>> = byte_ids.into_boxed_slice().try_into().ok();
    let rules = Rules { vocabulary, pattern, units: Units::Characters, byte_ids };
    Tokenizer::from_rules(rules, Some(SentencePiece { blank_first }), &specials)?.with_others(others)
}
