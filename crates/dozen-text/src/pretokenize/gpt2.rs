//! The pattern of GPT-2: `'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.

use super::word::Word;
use super::{Cut, LETTERS, NUMBERS, OTHERS, SPACES, contraction, run, spaces};
use crate::unicode::{Kinds, kind};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Gpt2;

impl Cut for Gpt2 {
    #[inline(always)]
    fn end(self, kinds: Kinds, text: &[u8], start: usize) -> usize {
        if let Some(length) = Word::at(text, start).and_then(Word::any_case) {
            return start + length;
        }
        let first = text[start];
        if first == b'\'' {
            let length = contraction(text, start + 1, false);
            if length > 0 {
                return start + 1 + length;
            }
        }
        let from = if first == b' ' && start + 1 < text.len() { start + 1 } else { start };
        let (kind, length) = kinds.at(text, from);
        for among in [LETTERS, NUMBERS, OTHERS] {
            if among >> kind & 1 == 1 {
                return run(kinds, text, from + length, among);
            }
        }
        debug_assert!(SPACES >> kind & 1 == 1 && kind != kind::OTHER);
        spaces(kinds, text, start, false, true)
    }
}
