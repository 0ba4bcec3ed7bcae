//! Cutting a text into pieces, which no token crosses.
//!
//! The patterns that most vocabularies were trained with are written by hand, a function that finds the end of the piece
//! that begins at a place; each is tested against its regular expression. Any other pattern goes through a regex engine.

mod cl100k;
mod gpt2;
mod o200k;
mod word;

use std::fmt;

pub(crate) use cl100k::Cl100k;
pub(crate) use gpt2::Gpt2;
pub(crate) use o200k::O200k;

use crate::Error;
use crate::unicode::{Kinds, kind};

/// How a text is cut into pieces.
#[derive(Clone, Debug)]
pub struct Pattern(Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    /// The whole text is one piece.
    Whole,
    Gpt2,
    Cl100k(Cl100k),
    O200k,
    Regex(Box<fancy_regex::Regex>),
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Regex(regex) => write!(f, "{:?}", regex.as_str()),
            Self::Whole => f.write_str("whole"),
            Self::Gpt2 => f.write_str("gpt2"),
            Self::Cl100k(pattern) => write!(f, "{pattern:?}"),
            Self::O200k => f.write_str("o200k"),
        }
    }
}

const GPT2: &str = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s";
const GPT2_AS_PUBLISHED: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const CL100K: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s";
/// The same in what all regex engines know alike.
const CL100K_PLAIN: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+\z|\s*[\r\n]|\s+(?!\S)|\s";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

impl Pattern {
    /// The names of the patterns written by hand.
    pub const NAMES: [&str; 5] = ["gpt2", "cl100k", "o200k", "llama3", "qwen2"];

    /// A pattern by name (`gpt2`, also `r50k`; `cl100k`, `o200k`, `llama3`, `qwen2`), or as a regular expression, whose
    /// matches, and what lies between them, are the pieces.
    ///
    /// # Errors
    /// When it is neither.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        let cl100k = |digits, end_first| Kind::Cl100k(Cl100k { digits, end_first });
        Ok(Self(match pattern {
            "gpt2" | "r50k" | "p50k" | GPT2 | GPT2_AS_PUBLISHED => Kind::Gpt2,
            "cl100k" | CL100K | CL100K_PLAIN => cl100k(3, true),
            "llama3" | LLAMA3 => cl100k(3, false),
            "qwen2" | QWEN2 => cl100k(1, false),
            "o200k" | O200K => Kind::O200k,
            _ => Self::regex(pattern)?.0,
        }))
    }

    /// A regular expression, whatever it is.
    ///
    /// # Errors
    /// When it is none.
    pub fn regex(pattern: &str) -> Result<Self, Error> {
        // A word alone is a misspelt name much rather than an expression.
        if pattern.chars().all(char::is_alphanumeric) {
            return Err(Error::Request(format!(
                "there is no pattern `{pattern}`; there are {}, and regular expressions",
                Self::NAMES.join(", ")
            )));
        }
        match fancy_regex::Regex::new(pattern) {
            Ok(regex) => Ok(Self(Kind::Regex(Box::new(regex)))),
            Err(error) => Err(Error::Request(format!("`{pattern}` is no regular expression: {error}"))),
        }
    }

    pub(crate) fn whole() -> Self {
        Self(Kind::Whole)
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.0
    }

    /// The regular expression that says the same; none where the whole text is one piece.
    pub fn expression(&self) -> Option<&str> {
        match &self.0 {
            Kind::Whole => None,
            Kind::Gpt2 => Some(GPT2_AS_PUBLISHED),
            Kind::Cl100k(Cl100k { end_first: true, .. }) => Some(CL100K_PLAIN),
            Kind::Cl100k(Cl100k { digits: 1, .. }) => Some(QWEN2),
            Kind::Cl100k(_) => Some(LLAMA3),
            Kind::O200k => Some(O200K),
            Kind::Regex(regex) => Some(regex.as_str()),
        }
    }

    /// The pattern's name, if it has one.
    pub fn name(&self) -> Option<&'static str> {
        match &self.0 {
            Kind::Gpt2 => Some("gpt2"),
            Kind::Cl100k(Cl100k { end_first: true, .. }) => Some("cl100k"),
            Kind::Cl100k(Cl100k { digits: 1, .. }) => Some("qwen2"),
            Kind::Cl100k(_) => Some("llama3"),
            Kind::O200k => Some("o200k"),
            Kind::Whole | Kind::Regex(_) => None,
        }
    }

    /// Where a text may be cut, about every so many bytes, without a piece being cut: both its ends, and places before a
    /// blank that follows a letter and before a letter that follows a line's end, where all patterns written by hand begin a
    /// new piece. A regular expression may not, and its texts are not cut.
    pub fn shares(&self, text: &[u8], bytes: usize) -> Vec<usize> {
        let mut ends = vec![0];
        if self.name().is_some() {
            let safe = |place: &usize| match (text[place - 1], text[*place]) {
                (before, b' ') => before.is_ascii_alphabetic(),
                (b'\n', after) => after.is_ascii_alphabetic(),
                _ => false,
            };
            let mut place = bytes.max(1);
            while let Some(end) = (place..text.len()).find(safe) {
                ends.push(end);
                place = end + bytes.max(1);
            }
        }
        ends.push(text.len());
        ends
    }

    /// Calls `visit` with the end of each piece in turn. Bytes that are not UTF-8 are characters of their own, of no kind;
    /// a regular expression sees the replacement character in their place.
    ///
    /// # Errors
    /// When a regular expression gives up.
    pub fn each_end(&self, text: &[u8], mut visit: impl FnMut(usize)) -> Result<(), Error> {
        match &self.0 {
            Kind::Whole if text.is_empty() => {}
            Kind::Whole => visit(text.len()),
            Kind::Gpt2 => cut(Gpt2, text, visit),
            Kind::Cl100k(pattern) => cut(*pattern, text, visit),
            Kind::O200k => cut(O200k, text, visit),
            Kind::Regex(regex) => {
                let mut start = 0;
                for chunk in text.utf8_chunks() {
                    each_match(regex, chunk.valid(), |end| visit(start + end))?;
                    start += chunk.valid().len() + chunk.invalid().len();
                    if !chunk.invalid().is_empty() {
                        visit(start);
                    }
                }
            }
        }
        Ok(())
    }
}

fn each_match(regex: &fancy_regex::Regex, text: &str, mut visit: impl FnMut(usize)) -> Result<(), Error> {
    let mut end = 0;
    for found in regex.find_iter(text) {
        let found = found.map_err(|error| Error::Request(format!("the pattern gave up: {error}")))?;
        if found.start() > end {
            visit(found.start());
        }
        if found.end() > found.start() {
            visit(found.end());
        }
        end = end.max(found.end());
    }
    if end < text.len() {
        visit(text.len());
    }
    Ok(())
}

/// A pattern written by hand.
pub(crate) trait Cut: Copy {
    /// The end of the piece that begins at a place. It depends on nothing before that place.
    fn end(self, kinds: Kinds, text: &[u8], start: usize) -> usize;
}

fn cut(pattern: impl Cut, text: &[u8], mut visit: impl FnMut(usize)) {
    let kinds = Kinds::new();
    let mut start = 0;
    while start < text.len() {
        start = pattern.end(kinds, text, start);
        visit(start);
    }
}

/// The end of the run of characters whose kinds are among some.
#[inline(always)]
fn run(kinds: Kinds, text: &[u8], mut place: usize, among: u8) -> usize {
    while place < text.len() {
        let (kind, length) = kinds.at(text, place);
        if among >> kind & 1 == 0 {
            break;
        }
        place += length;
    }
    place
}

/// Sets of kinds, a bit each.
const LETTERS: u8 = 1 << kind::UPPER | 1 << kind::LOWER | 1 << kind::LETTER;
const NUMBERS: u8 = 1 << kind::NUMBER;
const SPACES: u8 = 1 << kind::SPACE | 1 << kind::LINE;
/// `[^\s\p{L}\p{N}]`
const OTHERS: u8 = 1 << kind::OTHER | 1 << kind::MARK;

/// The end of up to so many numbers.
#[inline(always)]
fn numbers(kinds: Kinds, text: &[u8], mut place: usize, most: usize) -> usize {
    for _ in 0..most {
        if place == text.len() {
            break;
        }
        let (kind, length) = kinds.at(text, place);
        if kind != kind::NUMBER {
            break;
        }
        place += length;
    }
    place
}

/// White space that no other alternative took: `\s*[\r\n]+|\s+(?!\S)|\s+`, with `\s+$` before them or not.
#[inline(always)]
fn spaces(kinds: Kinds, text: &[u8], start: usize, lines: bool, end_first: bool) -> usize {
    let (mut place, mut last, mut after_line) = (start, start, start);
    while place < text.len() {
        let (kind, length) = kinds.at(text, place);
        if SPACES >> kind & 1 == 0 {
            break;
        }
        last = place;
        place += length;
        if kind == kind::LINE {
            after_line = place;
        }
    }
    if place == text.len() && end_first {
        place
    } else if lines && after_line > start {
        after_line
    } else if place == text.len() || last == start {
        place
    } else {
        // The last one belongs to what follows.
        last
    }
}

/// The length of `(?i:[sdmt]|ll|ve|re)` after an apostrophe; zero where there is none. The long s folds to an s.
#[inline(always)]
fn contraction(text: &[u8], place: usize, fold: bool) -> usize {
    let lower = |place: usize| {
        let byte = text.get(place).copied().unwrap_or(0);
        if fold { byte.to_ascii_lowercase() } else { byte }
    };
    match (lower(place), lower(place + 1)) {
        (b's' | b'd' | b'm' | b't', _) => 1,
        (b'l', b'l') | (b'v' | b'r', b'e') => 2,
        (0xc5, 0xbf) if fold => 2,
        _ => 0,
    }
}
