//! Phrases: words that stand side by side more often than chance would have them.

use std::collections::HashMap;

use crate::words::Words;

/// How two neighbours are scored.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum PhraseScore {
    /// `(n_ab - min_count) / (n_a n_b) * words`, as word2phrase.c (arXiv 1310.4546, equation 6, times the corpus's length).
    Original,
    /// `ln(p_ab / (p_a p_b)) / -ln p_ab` in [-1, 1] (Bouma 2009).
    Npmi,
}

/// What makes a phrase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PhraseConfig {
    /// The score.
    pub score: PhraseScore,
    /// A phrase scores more than this.
    pub threshold: f64,
    /// Its words, and the pair, occur at least so often.
    pub min_count: u64,
}

/// Sentences whose words can be joined.
#[derive(Clone, Debug, Default)]
pub struct PhraseText {
    words: Words,
    ids: Vec<u32>,
}

/// Ends a line.
const END: u32 = u32::MAX;

/// Two words, how often they stand side by side, and their score.
#[derive(Clone, Debug, PartialEq)]
pub struct Phrase {
    /// Both words, joined by an underscore.
    pub text: String,
    /// How often.
    pub count: u64,
    /// How much more often than by chance.
    pub score: f64,
}

impl PhraseText {
    /// Of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a text: words between blanks, sentences on lines.
    pub fn read(&mut self, text: &[u8]) {
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            for word in line.split(|byte| *byte <= b' ').filter(|word| !word.is_empty()) {
                let id = self.words.number(word, 0, word.len());
                self.ids.push(id);
            }
            self.ids.push(END);
        }
    }

    /// How many words there are, phrases as one.
    pub fn len(&self) -> usize {
        self.ids.iter().filter(|id| **id != END).count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Joins each pair of neighbours that is a phrase, from left to right, so that three words in a row become at most one
    /// pair; a further pass may join that to the third. Gives the phrases, the best first.
    pub fn join(&mut self, config: &PhraseConfig) -> Vec<Phrase> {
        let mut counts = vec![0_u64; self.words.len()];
        let mut pairs: HashMap<u64, u64> = HashMap::new();
        for id in self.ids.iter().filter(|id| **id != END) {
            counts[*id as usize] += 1;
        }
        let frequent = |id: u32| id != END && counts[id as usize] >= config.min_count;
        for pair in self.ids.windows(2) {
            if frequent(pair[0]) && frequent(pair[1]) {
                *pairs.entry(key(pair[0], pair[1])).or_default() += 1;
            }
        }
        let words: u64 = counts.iter().sum();
        let mut phrases: HashMap<u64, (u32, Phrase)> = HashMap::new();
        let mut chosen: Vec<(u64, u64, f64)> = pairs
            .into_iter()
            .filter(|(_, count)| *count >= config.min_count)
            .map(|(pair, count)| {
                let own = |id: u64| counts[id as usize] as f64;
                (
                    pair,
                    count,
                    score(config, count as f64, own(pair >> 32), own(pair & 0xffff_ffff), words as f64),
                )
            })
            .filter(|(_, _, score)| *score > config.threshold)
            .collect();
        chosen.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
        for (pair, count, score) in chosen {
            let part = |id: u64| String::from_utf8_lossy(self.words.word(id as u32)).into_owned();
            let text = format!("{}_{}", part(pair >> 32), part(pair & 0xffff_ffff));
            let id = self.words.number(text.as_bytes(), 0, text.len());
            phrases.insert(pair, (id, Phrase { text, count, score }));
        }
        let mut joined = Vec::with_capacity(self.ids.len());
        let mut at = 0;
        while at < self.ids.len() {
            let next = self.ids.get(at + 1).copied().unwrap_or(END);
            let phrase = phrases.get(&key(self.ids[at], next));
            joined.push(phrase.map_or(self.ids[at], |(id, _)| *id));
            at += 1 + usize::from(phrase.is_some());
        }
        self.ids = joined;
        let mut found: Vec<Phrase> = phrases.into_values().map(|(_, phrase)| phrase).collect();
        found.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.text.cmp(&b.text)));
        found
    }

    /// The text, words parted by a blank.
    pub fn lines(&self) -> impl Iterator<Item = Vec<u8>> {
        // Each line ends in END, so that nothing follows the last one.
        let lines = self.ids.split_inclusive(|id| *id == END);
        lines.map(|line| {
            let line = line.strip_suffix(&[END]).unwrap_or(line);
            let words: Vec<&[u8]> = line.iter().map(|id| self.words.word(*id)).collect();
            words.join(&b' ')
        })
    }
}

fn key(a: u32, b: u32) -> u64 {
    u64::from(a) << 32 | u64::from(b)
}

fn score(config: &PhraseConfig, pair: f64, a: f64, b: f64, words: f64) -> f64 {
    match config.score {
        PhraseScore::Original => (pair - config.min_count as f64) / a / b * words,
        PhraseScore::Npmi => (pair * words / (a * b)).ln() / -(pair / words).ln(),
    }
}

#[cfg(test)]
mod tests {
    use super::{PhraseConfig, PhraseScore, PhraseText};

    fn text() -> PhraseText {
        let mut text = PhraseText::new();
        text.read("new york times\nin new york city\na new day in york\nnew york times\n".as_bytes());
        text
    }

    #[test]
    fn pairs_above_the_threshold_are_joined_from_the_left() {
        let mut text = text();
        let words = text.len();
        let config = PhraseConfig { score: PhraseScore::Original, threshold: 1.0, min_count: 1 };
        let found = text.join(&PhraseConfig { min_count: 2, threshold: 0.9, ..config });
        // (3 - 2) / (4 * 4) * 15 = 0.94 for "new york"; (2 - 2) for "york times".
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].text.as_str(), found[0].count), ("new_york", 3));
        assert!((found[0].score - words as f64 / 16.0).abs() < 1e-12);
        let lines: Vec<Vec<u8>> = text.lines().collect();
        assert_eq!(lines[1], b"in new_york city");
        assert_eq!(lines[2], b"a new day in york");
        let more = text.join(&PhraseConfig { threshold: 0.5, ..config });
        assert!(more.iter().any(|phrase| phrase.text == "new_york_times"));
    }

    #[test]
    fn npmi_of_words_that_only_come_together_is_one() {
        let mut text = PhraseText::new();
        text.read(b"hong kong is far\nhong kong is big\nfar is big\n");
        let config = PhraseConfig { score: PhraseScore::Npmi, threshold: 0.9, min_count: 2 };
        let found = text.join(&config);
        assert_eq!(found[0].text, "hong_kong");
        assert!((found[0].score - 1.0).abs() < 1e-12);
    }
}
