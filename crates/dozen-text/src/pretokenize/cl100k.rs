//! The pattern of `cl100k`, and those of LLaMA 3 and Qwen 2, which are near it:
//! `'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`.

use super::word::Word;
use super::{Cut, LETTERS, OTHERS, contraction, numbers, run, spaces};
use crate::unicode::{Kinds, kind};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cl100k {
    /// So many numbers at most stand together.
    pub(crate) digits: usize,
    /// White space at the text's end is one piece, lines or not: `\s+$` stands before `\s*[\r\n]`. So it is in tiktoken's
    /// form of the pattern, while others begin a new piece after the last line.
    pub(crate) end_first: bool,
}

impl Cut for Cl100k {
    #[inline(always)]
    fn end(self, kinds: Kinds, text: &[u8], start: usize) -> usize {
        if let Some(length) = Word::at(text, start).and_then(Word::any_case) {
            return start + length;
        }
        let (first, length) = kinds.at(text, start);
        if LETTERS >> first & 1 == 1 {
            return run(kinds, text, start + length, LETTERS);
        }
        if first == kind::NUMBER {
            return numbers(kinds, text, start, self.digits);
        }
        if text[start] == b'\'' {
            let length = contraction(text, start + 1, true);
            if length > 0 {
                return start + 1 + length;
            }
        }
        let next = start + length;
        let (second, second_length) = if next < text.len() { kinds.at(text, next) } else { (kind::LINE, 0) };
        if first != kind::LINE && LETTERS >> second & 1 == 1 {
            return run(kinds, text, next + second_length, LETTERS);
        }
        if OTHERS >> first & 1 == 1 || (text[start] == b' ' && OTHERS >> second & 1 == 1) {
            return run(kinds, text, run(kinds, text, next, OTHERS), 1 << kind::LINE);
        }
        spaces(kinds, text, start, true, self.end_first)
    }
}
