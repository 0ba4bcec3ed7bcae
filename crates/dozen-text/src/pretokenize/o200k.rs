//! The pattern of `o200k`: words break before an upper case letter that follows a lower case one, and contractions stay with
//! their word. With `U = [\p{Lu}\p{Lt}]`, `l = \p{Ll}` and `B = [\p{Lm}\p{Lo}\p{M}]`:
//! `[^\r\n\p{L}\p{N}]?[U B]*[l B]+('s|...)?|[^\r\n\p{L}\p{N}]?[U B]+[l B]*('s|...)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|
//! \s*[\r\n]+|\s+(?!\S)|\s+`.

use super::word::Word;
use super::{Cut, LETTERS, NUMBERS, OTHERS, contraction, numbers, run, spaces};
use crate::unicode::{Kinds, kind};

#[derive(Clone, Copy, Debug)]
pub(crate) struct O200k;

const UPPER: u8 = 1 << kind::UPPER;
const BOTH: u8 = 1 << kind::LETTER | 1 << kind::MARK;
const LOWER: u8 = 1 << kind::LOWER | BOTH;

impl Cut for O200k {
    #[inline(always)]
    fn end(self, kinds: Kinds, text: &[u8], start: usize) -> usize {
        if let Some(length) = Word::at(text, start).and_then(Word::lower_case) {
            return start + length;
        }
        let (first, length) = kinds.at(text, start);
        if first == kind::NUMBER {
            return numbers(kinds, text, start, 3);
        }
        let next = start + length;
        // With the character before the word, then without it, each alternative in turn.
        let prefixed = (LETTERS | NUMBERS) >> first & 1 == 0 && first != kind::LINE;
        let [with, without] = [prefixed.then(|| word(kinds, text, next)), Some(word(kinds, text, start))];
        let word = [with.and_then(|word| word.lower), without.and_then(|word| word.lower)];
        let word =
            word.into_iter().chain([with.and_then(|word| word.upper), without.and_then(|word| word.upper)]);
        if let Some(end) = word.flatten().next() {
            return match text.get(end) {
                Some(b'\'') => match contraction(text, end + 1, true) {
                    0 => end,
                    length => end + 1 + length,
                },
                _ => end,
            };
        }
        let other = OTHERS >> first & 1 == 1;
        if other || (text[start] == b' ' && next < text.len() && OTHERS >> kinds.at(text, next).0 & 1 == 1) {
            let mut place = run(kinds, text, next, OTHERS);
            while place < text.len() && matches!(text[place], b'\r' | b'\n' | b'/') {
                place += 1;
            }
            return place;
        }
        spaces(kinds, text, start, true, false)
    }
}

/// Where a word from a place on ends, by the alternative that ends in lower case and by the one that begins in upper case.
#[derive(Clone, Copy)]
struct Cased {
    lower: Option<usize>,
    upper: Option<usize>,
}

#[inline(always)]
fn word(kinds: Kinds, text: &[u8], start: usize) -> Cased {
    let mut place = start;
    // After the last character that is of both cases.
    let mut after_both = None;
    while place < text.len() {
        let (kind, length) = kinds.at(text, place);
        if (UPPER | BOTH) >> kind & 1 == 0 {
            break;
        }
        place += length;
        if BOTH >> kind & 1 == 1 {
            after_both = Some(place);
        }
    }
    let end = run(kinds, text, place, LOWER);
    // Where no lower case follows, upper case is given back as far as the last that may count as lower.
    let lower = if end > place { Some(end) } else { after_both };
    Cased { lower, upper: (place > start).then_some(place) }
}
