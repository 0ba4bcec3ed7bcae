//! The vocabulary: words, the most frequent first, and how often each occurs.

use std::io::{BufRead, Write};

use crate::Error;
use crate::words::Words;

/// Words and their counts. A word's row in the matrices is its place here.
#[derive(Clone, Debug, Default)]
pub struct Dictionary {
    words: Words,
    counts: Vec<u64>,
}

impl Dictionary {
    /// From words and counts, in this order.
    ///
    /// # Errors
    /// When a word comes twice or is empty.
    pub fn new<W: AsRef<str>>(entries: impl IntoIterator<Item = (W, u64)>) -> Result<Self, Error> {
        let mut dictionary = Self::default();
        for (word, count) in entries {
            dictionary.push(word.as_ref(), count)?;
        }
        Ok(dictionary)
    }

    pub(crate) fn push(&mut self, word: &str, count: u64) -> Result<(), Error> {
        if word.is_empty() {
            return Err(Error::Request("a word is empty".into()));
        }
        let number = self.words.number(word.as_bytes(), 0, word.len());
        if (number as usize) < self.counts.len() {
            return Err(Error::Request(format!("the word `{word}` comes twice")));
        }
        self.counts.push(count);
        Ok(())
    }

    pub(crate) fn add_count(&mut self, number: u32, count: u64) {
        self.counts[number as usize] += count;
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The word of a row.
    pub fn word(&self, number: u32) -> &str {
        std::str::from_utf8(self.words.word(number)).unwrap_or_default()
    }

    /// All words in their order.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        (0..self.len() as u32).map(|number| self.word(number))
    }

    /// The row of a word.
    pub fn find(&self, word: &str) -> Option<u32> {
        if word.is_empty() { None } else { self.words.find(word.as_bytes()) }
    }

    /// How often each word occurs.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// How often all words occur together.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The words most like one that is not there: the fewest letters to change, then the most frequent.
    pub fn closest_spellings(&self, word: &str, count: usize) -> Vec<&str> {
        let letters: Vec<char> = word.to_lowercase().chars().collect();
        let most = 1 + letters.len() / 4;
        let mut near: Vec<(usize, u32)> = (0..self.len() as u32)
            .filter_map(|number| {
                let other: Vec<char> = self.word(number).to_lowercase().chars().collect();
                let distance = edit_distance(&letters, &other, most)?;
                Some((distance, number))
            })
            .collect();
        near.sort_unstable();
        near.into_iter().take(count).map(|(_, number)| self.word(number)).collect()
    }

    /// Writes a line `word count` for each word, as word2vec.c's `-save-vocab` does.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&self, mut to: impl Write) -> std::io::Result<()> {
        for (word, count) in self.words().zip(&self.counts) {
            writeln!(to, "{word} {count}")?;
        }
        to.flush()
    }

    /// Reads what [`Dictionary::write`] or word2vec.c wrote.
    ///
    /// # Errors
    /// With the line that is no word and count, or whose word came before.
    pub fn read(file: &str, from: impl BufRead) -> Result<Self, Error> {
        let mut dictionary = Self::default();
        for (number, line) in (1..).zip(from.lines()) {
            let wrong = |problem: &str| Error::Format {
                file: file.into(),
                problem: format!("line {number} {problem}"),
            };
            let line = line.map_err(|_| wrong("is not UTF-8"))?;
            let entry = line.rsplit_once(' ').and_then(|(word, count)| Some((word, count.parse().ok()?)));
            let (word, count) = entry.ok_or_else(|| wrong("is not a word, a blank and a count"))?;
            dictionary
                .push(word, count)
                .map_err(|_| wrong(&format!("has the word `{word}` once more, or no word")))?;
        }
        Ok(dictionary)
    }
}

/// Letters to insert, remove or change (Levenshtein), if at most `most`.
fn edit_distance(a: &[char], b: &[char], most: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
        if row.iter().all(|distance| *distance > most) {
            return None;
        }
    }
    Some(row[b.len()]).filter(|distance| *distance <= most)
}

#[cfg(test)]
mod tests {
    use super::Dictionary;

    #[test]
    fn spellings_close_to_a_word_come_by_distance_then_frequency() {
        let words = ["the", "king", "kings", "ring", "queen", "kin"];
        let dictionary = Dictionary::new(words.into_iter().zip([9, 8, 7, 6, 5, 4])).unwrap();
        assert_eq!(dictionary.closest_spellings("kingg", 9), ["king", "kings", "ring", "kin"]);
        assert_eq!(dictionary.closest_spellings("Queen", 9), ["queen"]);
        assert!(dictionary.closest_spellings("astronomy", 9).is_empty());
    }

    #[test]
    fn a_vocabulary_file_comes_back_and_a_bad_line_is_named() {
        let dictionary = Dictionary::new([("the", 9), ("of", 3)]).unwrap();
        let mut file = Vec::new();
        dictionary.write(&mut file).unwrap();
        let again = Dictionary::read("v.txt", &file[..]).unwrap();
        assert_eq!(again.words().collect::<Vec<_>>(), ["the", "of"]);
        assert_eq!(again.counts(), [9, 3]);
        let twice = Dictionary::read("v.txt", &b"a 1\nb 2\na 3\n"[..]).unwrap_err();
        assert_eq!(twice.to_string(), "v.txt: line 3 has the word `a` once more, or no word");
        assert!(Dictionary::read("v.txt", &b"a\n"[..]).is_err());
    }
}
