//! A tokenizer: a vocabulary, a pattern, special tokens, and what is done with them.

use std::ops::Range;
use std::sync::Mutex;

use rayon::prelude::*;

use crate::encode::{Encoder, Rules};
use crate::merge::{Units, splits};
use crate::vocabulary::{NONE, Vocabulary};
use crate::{Error, Pattern};

/// What special tokens in a text are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special<'a> {
    /// A mistake: text from outside should hold none.
    Refuse,
    /// Ordinary text, no more than their characters.
    Text,
    /// These are special; any other is a mistake.
    Allow(&'a [&'a str]),
    /// All are special.
    All,
}

/// A part of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment<'a> {
    /// A special token, from a source that may control the model.
    Control(&'a str),
    /// Text, of which no part can become a special token.
    Text(&'a str),
}

/// A token of a text and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: u32,
    /// Its bytes' places in the text.
    pub range: Range<usize>,
}

/// What SentencePiece does to a text before it looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SentencePiece {
    /// A blank is put before the text.
    pub(crate) blank_first: bool,
}

/// The character that SentencePiece writes for a blank.
pub(crate) const BLANK: &str = "\u{2581}";

/// A byte-pair tokenizer.
pub struct Tokenizer {
    rules: Rules,
    sentence_piece: Option<SentencePiece>,
    specials: Vec<(String, u32)>,
    /// Tokens that no text becomes, but that ids may stand for.
    others: Vec<(Vec<u8>, u32)>,
    /// For each id the token; from the vocabulary's length on a special one, and after those one of the others.
    by_id: Vec<u32>,
    /// What threads remember between calls.
    encoders: Mutex<Vec<Encoder>>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("tokens", &self.len())
            .field("pattern", &self.rules.pattern)
            .finish_non_exhaustive()
    }
}

/// Text is shared out in parts of about this many bytes.
const SHARE: usize = 1 << 17;

impl Tokenizer {
    /// Tokens in the order of their merges, as `.tiktoken` files list them: all 256 bytes are among them, and two
    /// neighbours merge where their bytes together are a token, the first in the list first. A piece that is a token is
    /// that token.
    ///
    /// # Errors
    /// When a byte is missing, a token or an id stands twice, or a token is empty.
    pub fn new(
        tokens: &[(Vec<u8>, u32)],
        pattern: Pattern,
        specials: &[(String, u32)],
    ) -> Result<Self, Error> {
        Self::with_whole(tokens, tokens.len(), pattern, specials)
    }

    /// The same, but that tokens from `mergeable` on are what a whole piece may be, and no merge makes.
    pub(crate) fn with_whole(
        tokens: &[(Vec<u8>, u32)],
        mergeable: usize,
        pattern: Pattern,
        specials: &[(String, u32)],
    ) -> Result<Self, Error> {
        let of = tokens.iter().map(|(token, id)| (&token[..], *id));
        let vocabulary = Vocabulary::new(of, mergeable)?;
        if let Some(byte) = (0..=255).find(|byte| vocabulary.find(&[*byte], 0, 1) == NONE) {
            return Err(Error::Vocabulary(format!(
                "there is no token for the byte 0x{byte:02x}; byte-level tokenizers have one for each of the 256"
            )));
        }
        Self::from_rules(Rules { vocabulary, pattern, units: Units::Bytes, byte_ids: None }, None, specials)
    }

    pub(crate) fn from_rules(
        rules: Rules,
        sentence_piece: Option<SentencePiece>,
        specials: &[(String, u32)],
    ) -> Result<Self, Error> {
        if let Some((_, id)) = specials.iter().find(|(name, _)| name.is_empty()) {
            return Err(Error::Vocabulary(format!("the special token {id} is empty")));
        }
        let mut tokenizer = Self {
            sentence_piece,
            specials: specials.to_vec(),
            others: Vec::new(),
            by_id: Vec::with_capacity(rules.vocabulary.len()),
            encoders: Mutex::default(),
            rules,
        };
        let count = tokenizer.rules.vocabulary.len() as u32;
        for index in 0..count {
            tokenizer.name(tokenizer.rules.vocabulary.id(index), index)?;
        }
        for (index, (_, id)) in (count..).zip(specials) {
            tokenizer.name(*id, index)?;
        }
        Ok(tokenizer)
    }

    /// Says which token an id is.
    fn name(&mut self, id: u32, index: u32) -> Result<(), Error> {
        // There is a place for each id, so that one id may not ask for gigabytes.
        if id >= 1 << 22 {
            return Err(Error::Vocabulary(format!("id {id} is beyond any vocabulary")));
        }
        if self.by_id.len() <= id as usize {
            self.by_id.resize(id as usize + 1, NONE);
        }
        match std::mem::replace(&mut self.by_id[id as usize], index) {
            NONE => Ok(()),
            _ => Err(Error::Vocabulary(format!("id {id} stands for two tokens"))),
        }
    }

    /// Adds tokens that are only decoded.
    pub(crate) fn with_others(mut self, others: Vec<(Vec<u8>, u32)>) -> Result<Self, Error> {
        let count = self.rules.vocabulary.len() + self.specials.len();
        for (index, (_, id)) in (count as u32..).zip(&others) {
            self.name(*id, index)?;
        }
        self.others = others;
        Ok(self)
    }

    /// One more than the greatest id.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Never: a vocabulary has all bytes.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// How texts are cut into pieces.
    pub fn pattern(&self) -> &Pattern {
        &self.rules.pattern
    }

    /// The special tokens.
    pub fn specials(&self) -> &[(String, u32)] {
        &self.specials
    }

    /// The tokens that are not special, and their ids, in the order of their merges.
    pub fn tokens(&self) -> impl ExactSizeIterator<Item = (&[u8], u32)> + Clone {
        let vocabulary = &self.rules.vocabulary;
        (0..vocabulary.len() as u32).map(|index| (vocabulary.token(index), vocabulary.id(index)))
    }

    /// Tokens that no text becomes, such as those that no merge makes, and their ids.
    pub fn others(&self) -> &[(Vec<u8>, u32)] {
        &self.others
    }

    /// The two tokens that each merge puts together, in order.
    pub fn merges(&self) -> Vec<[Vec<u8>; 2]> {
        let vocabulary = &self.rules.vocabulary;
        let token = |index| vocabulary.token(index).to_vec();
        let merges = splits(vocabulary, self.rules.units).into_iter().flatten();
        merges.map(|(left, right)| [token(left), token(right)]).collect()
    }

    /// Tokens that their own bytes do not merge into, so that only a whole piece can be one, if anything; and their ids.
    pub fn unreachable(&self) -> Vec<(&[u8], u32)> {
        let vocabulary = &self.rules.vocabulary;
        let unit = |token: &[u8]| match self.rules.units {
            Units::Bytes => token.len() == 1,
            Units::Characters => std::str::from_utf8(token).is_ok_and(|text| text.chars().nth(1).is_none()),
        };
        let made = splits(vocabulary, self.rules.units);
        let never = self.tokens().zip(made).filter(|((token, _), split)| split.is_none() && !unit(token));
        let others =
            self.others.iter().filter(|(token, _)| !unit(token)).map(|(token, id)| (&token[..], *id));
        never.map(|(token, _)| token).chain(others).collect()
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(crate) fn is_sentence_piece(&self) -> bool {
        self.sentence_piece.is_some()
    }

    /// The bytes of a token.
    pub fn token(&self, id: u32) -> Option<&[u8]> {
        let index = *self.by_id.get(id as usize)?;
        let special = (index as usize).checked_sub(self.rules.vocabulary.len());
        match special {
            _ if index == NONE => None,
            Some(special) => Some(match self.specials.get(special) {
                Some((name, _)) => name.as_bytes(),
                None => &self.others[special - self.specials.len()].0,
            }),
            None => Some(self.rules.vocabulary.token(index)),
        }
    }

    /// Whether a token is special.
    pub fn is_special(&self, id: u32) -> bool {
        self.specials.iter().any(|(_, special)| *special == id)
    }

    fn with_encoder<T>(&self, run: impl FnOnce(&mut Encoder) -> T) -> T {
        let lock = || self.encoders.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = lock().pop();
        let mut encoder = known.unwrap_or_else(Encoder::new);
        let result = run(&mut encoder);
        lock().push(encoder);
        result
    }

    /// The ids of a text in which nothing is special.
    ///
    /// # Errors
    /// When the pattern is a regular expression that gives up.
    pub fn encode_ordinary(&self, text: &str) -> Result<Vec<u32>, Error> {
        self.encode_bytes(text.as_bytes())
    }

    /// The ids of any bytes; those that are not UTF-8 are pieces as punctuation is.
    ///
    /// # Errors
    /// When the pattern is a regular expression that gives up.
    pub fn encode_bytes(&self, text: &[u8]) -> Result<Vec<u32>, Error> {
        let mut ids = Vec::new();
        match self.sentence_piece {
            Some(sentence_piece) => {
                let escaped = escape(text, sentence_piece.blank_first);
                self.with_encoder(|encoder| encoder.encode(&self.rules, &escaped, &mut ids))?;
            }
            None if rayon::current_num_threads() > 1 && text.len() > 2 * SHARE => {
                let parts: Vec<Vec<u32>> = self
                    .rules
                    .pattern
                    .shares(text, SHARE)
                    .par_windows(2)
                    .map(|ends| {
                        let mut ids = Vec::with_capacity((ends[1] - ends[0]) / 3);
                        self.with_encoder(|encoder| {
                            encoder.encode(&self.rules, &text[ends[0]..ends[1]], &mut ids)
                        })?;
                        Ok(ids)
                    })
                    .collect::<Result<_, Error>>()?;
                return Ok(parts.concat());
            }
            None => {
                // Memory that is never touched costs nothing.
                ids.reserve(text.len() / 2);
                self.with_encoder(|encoder| encoder.encode(&self.rules, text, &mut ids))?;
            }
        }
        Ok(ids)
    }

    /// The ids of a text.
    ///
    /// # Errors
    /// When a special token stands in it that is not allowed.
    pub fn encode(&self, text: &str, special: Special<'_>) -> Result<Vec<u32>, Error> {
        let mut ids = Vec::new();
        let mut start = 0;
        while let Some((at, name, id)) = self.next_special(text, start, special)? {
            if at > start {
                ids.extend(self.encode_ordinary(&text[start..at])?);
            }
            ids.push(id);
            start = at + name.len();
        }
        if start == 0 {
            return self.encode_ordinary(text);
        }
        if start < text.len() {
            ids.extend(self.encode_ordinary(&text[start..])?);
        }
        Ok(ids)
    }

    /// The first special token from a place on; of those that begin there the longest.
    fn next_special(
        &self,
        text: &str,
        start: usize,
        special: Special<'_>,
    ) -> Result<Option<(usize, &str, u32)>, Error> {
        if special == Special::Text {
            return Ok(None);
        }
        let mut first: Option<(usize, &str, u32)> = None;
        for (name, id) in &self.specials {
            if let Some(at) = text[start..].find(name.as_str()) {
                let at = start + at;
                if first.is_none_or(|(other, known, _)| (at, known.len()) < (other, name.len())) {
                    first = Some((at, name, *id));
                }
            }
        }
        match (first, special) {
            (Some((at, name, _)), Special::Refuse) => Err(Error::Special { token: name.to_owned(), at }),
            (Some((at, name, _)), Special::Allow(names)) if !names.contains(&name) => {
                Err(Error::Special { token: name.to_owned(), at })
            }
            (first, _) => Ok(first),
        }
    }

    /// The ids of a prompt whose special tokens are named one by one.
    ///
    /// # Errors
    /// When a control segment is no special token.
    pub fn encode_segments(&self, segments: &[Segment<'_>]) -> Result<Vec<u32>, Error> {
        let mut ids = Vec::new();
        for segment in segments {
            match segment {
                Segment::Text(text) => ids.extend(self.encode_ordinary(text)?),
                Segment::Control(name) => match self.specials.iter().find(|(special, _)| special == name) {
                    Some((_, id)) => ids.push(*id),
                    None => return Err(Error::Request(format!("`{name}` is no special token"))),
                },
            }
        }
        Ok(ids)
    }

    /// How many tokens an ordinary text has.
    ///
    /// # Errors
    /// As [`Tokenizer::encode_bytes`].
    pub fn count(&self, text: &[u8]) -> Result<usize, Error> {
        Ok(self.encode_bytes(text)?.len())
    }

    /// The tokens of an ordinary text and where they stand.
    ///
    /// # Errors
    /// As [`Tokenizer::encode_bytes`], and for SentencePiece, whose tokens are of another text.
    pub fn offsets(&self, text: &[u8]) -> Result<Vec<Token>, Error> {
        if self.is_sentence_piece() {
            return Err(Error::Request(
                "tokens of SentencePiece have no places in the text, which it rewrites".into(),
            ));
        }
        let mut tokens = Vec::new();
        self.with_encoder(|encoder| {
            let mut start = 0;
            self.rules.pattern.each_end(text, |end| {
                for part in encoder.parts(&self.rules, &text[start..end]) {
                    let range = start..start + part.length as usize;
                    start = range.end;
                    tokens.push(Token { id: self.rules.vocabulary.id(part.token), range });
                }
            })
        })?;
        Ok(tokens)
    }

    /// The longest beginning of a text that is whole tokens, at most so many, and whole characters.
    ///
    /// # Errors
    /// As [`Tokenizer::offsets`].
    pub fn truncate<'a>(&self, text: &'a str, most: usize) -> Result<&'a str, Error> {
        let tokens = self.offsets(text.as_bytes())?;
        if tokens.len() <= most {
            return Ok(text);
        }
        let mut ends = tokens[..most].iter().rev().map(|token| token.range.end);
        Ok(&text[..ends.find(|&end| text.is_char_boundary(end)).unwrap_or(0)])
    }

    /// The bytes that ids stand for.
    ///
    /// # Errors
    /// When an id is no token.
    pub fn decode_bytes(&self, ids: &[u32]) -> Result<Vec<u8>, Error> {
        let vocabulary = &self.rules.vocabulary;
        let mut length = 0;
        for (at, &id) in ids.iter().enumerate() {
            let index = self.by_id.get(id as usize).copied().unwrap_or(NONE);
            length += match vocabulary.span(index) {
                Some((_, length)) => length,
                None => self.token(id).ok_or(Error::NoSuchId { id, at, size: self.len() })?.len(),
            };
        }
        // Sixteen bytes are copied at once, whatever a token's length is.
        let mut bytes = vec![0; length + 16];
        let mut end = 0;
        for &id in ids {
            match vocabulary.span(self.by_id[id as usize]) {
                Some((start, length)) if length <= 16 => {
                    bytes[end..end + 16].copy_from_slice(vocabulary.sixteen(start));
                    end += length;
                }
                _ => {
                    let token = self.token(id).unwrap_or_default();
                    bytes[end..end + token.len()].copy_from_slice(token);
                    end += token.len();
                }
            }
        }
        bytes.truncate(length);
        Ok(if let Some(sentence_piece) = self.sentence_piece {
            unescape(&bytes, sentence_piece.blank_first)
        } else {
            bytes
        })
    }

    /// The text that ids stand for.
    ///
    /// # Errors
    /// When an id is no token, or the bytes are no text, as when they end within a character.
    pub fn decode(&self, ids: &[u32]) -> Result<String, Error> {
        String::from_utf8(self.decode_bytes(ids)?)
            .map_err(|error| Error::NotText { at: error.utf8_error().valid_up_to() })
    }

    /// Decodes ids one by one.
    pub fn decode_stream(&self) -> DecodeStream<'_> {
        DecodeStream { tokenizer: self, bytes: Vec::new(), place: 0 }
    }
}

/// Turns ids into text as they come, and keeps what is not a whole character yet.
#[derive(Debug)]
pub struct DecodeStream<'a> {
    tokenizer: &'a Tokenizer,
    bytes: Vec<u8>,
    place: usize,
}

impl DecodeStream<'_> {
    /// The whole characters that are known with this id; bytes that can be part of none become the replacement character.
    ///
    /// # Errors
    /// When the id is no token.
    pub fn push(&mut self, id: u32) -> Result<String, Error> {
        let (at, size) = (self.place, self.tokenizer.len());
        let token = self.tokenizer.token(id).ok_or(Error::NoSuchId { id, at, size })?;
        self.place += 1;
        self.bytes.extend_from_slice(token);
        let mut text = String::new();
        loop {
            match std::str::from_utf8(&self.bytes) {
                Ok(whole) => {
                    text.push_str(whole);
                    self.bytes.clear();
                    return Ok(text);
                }
                Err(error) => {
                    text.push_str(&String::from_utf8_lossy(&self.bytes[..error.valid_up_to()]));
                    let wrong = error.error_len();
                    self.bytes.drain(..error.valid_up_to() + wrong.unwrap_or(0));
                    match wrong {
                        None => return Ok(text),
                        Some(_) => text.push(char::REPLACEMENT_CHARACTER),
                    }
                }
            }
        }
    }

    /// What is left when no more ids come: a replacement character where one was not finished.
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

fn escape(text: &[u8], blank_first: bool) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len() + text.len() / 4);
    if blank_first && !text.is_empty() {
        escaped.extend_from_slice(BLANK.as_bytes());
    }
    for &byte in text {
        match byte {
            b' ' => escaped.extend_from_slice(BLANK.as_bytes()),
            byte => escaped.push(byte),
        }
    }
    escaped
}

fn unescape(bytes: &[u8], blank_first: bool) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    let mut place = 0;
    while place < bytes.len() {
        if bytes[place..].starts_with(BLANK.as_bytes()) {
            text.push(b' ');
            place += BLANK.len();
        } else {
            text.push(bytes[place]);
            place += 1;
        }
    }
    if blank_first && text.first() == Some(&b' ') {
        text.remove(0);
    }
    text
}
