//! The rows that make a word: its own, and with subwords those of its character n-grams.

use super::{Dictionary, Subwords};

/// The rows of each word of a dictionary.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bags {
    starts: Vec<usize>,
    rows: Vec<u32>,
}

impl Bags {
    pub(crate) fn new(dictionary: &Dictionary, subwords: Subwords) -> Self {
        let words = dictionary.len() as u32;
        let mut bags = Self { starts: vec![0], rows: Vec::new() };
        for word in 0..words {
            bags.rows.push(word);
            let text = dictionary.word(word);
            // fastText's end of a sentence has no parts.
            let buckets = if text == "</s>" { Vec::new() } else { n_gram_buckets(text, subwords) };
            bags.rows.extend(buckets.into_iter().map(|bucket| words + bucket));
            bags.starts.push(bags.rows.len());
        }
        bags
    }

    /// The rows of a word.
    #[inline(always)]
    pub(crate) fn of(&self, word: u32) -> &[u32] {
        &self.rows[self.starts[word as usize]..self.starts[word as usize + 1]]
    }
}

/// The buckets of a word's n-grams as fastText makes them: of `<word>`, by characters, without `<` and `>` alone.
pub(crate) fn n_gram_buckets(word: &str, subwords: Subwords) -> Vec<u32> {
    let text = format!("<{word}>");
    let mut places: Vec<usize> = text.char_indices().map(|(place, _)| place).collect();
    places.push(text.len());
    let characters = places.len() - 1;
    let mut buckets = Vec::new();
    for start in 0..characters {
        for length in subwords.min..=subwords.max.min(characters - start) {
            let edge = start == 0 || start + length == characters;
            if length > 1 || !edge {
                let n_gram = &text[places[start]..places[start + length]];
                buckets.push(hash(n_gram.as_bytes()) % subwords.buckets as u32);
            }
        }
    }
    buckets
}

/// FNV-1a of 32 bits over bytes with their sign, as fastText computes it.
fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(2_166_136_261, |hash, byte| {
        (hash ^ i32::from(byte.cast_signed()).cast_unsigned()).wrapping_mul(16_777_619)
    })
}

#[cfg(test)]
mod tests {
    use super::{Subwords, hash, n_gram_buckets};

    /// FNV-1a's own test vectors, and how many n-grams there are.
    #[test]
    fn n_grams_are_those_of_fast_text() {
        assert_eq!(hash(b""), 0x811c_9dc5);
        assert_eq!(hash(b"a"), 0xe40c_292c);
        assert_eq!(hash(b"foobar"), 0xbf9c_f968);
        let count = |word, min, max| n_gram_buckets(word, Subwords { min, max, buckets: 100 }).len();
        // <wh whe her ere re> of the paper's example, and one of length 4 and more each way.
        assert_eq!(count("where", 3, 3), 5);
        assert_eq!(count("where", 3, 6), 5 + 4 + 3 + 2);
        assert_eq!(count("é", 1, 3), 1 + 2 + 1);
    }
}
