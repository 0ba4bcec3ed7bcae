//! Byte-pair merges of an inventory (Gage 1994; Sennrich, Haddow and Birch 2016, algorithm 1): the pair that occurs most often
//! becomes a token wherever it stands, from left to right, until there are enough.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use crate::formats::alphabet;
use crate::{Error, Inventory, Pattern, Tokenizer};

/// Which of several pairs that occur equally often comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum TieBreak {
    /// The least ids, bytes being numbered as Hugging Face's trainer numbers them.
    #[default]
    #[cfg_attr(feature = "clap", value(name = "hf"))]
    HuggingFace,
    /// The least bytes of the first token, then of the second.
    Bytes,
    /// The pair that comes first in the corpus as it is merged so far.
    FirstSeen,
}

/// How to train.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainConfig {
    /// Tokens in all: special ones, the 256 bytes, and merges.
    pub vocabulary: usize,
    /// A pair must occur so often.
    pub min_frequency: u64,
    /// A token has at most so many bytes, if there is a limit.
    pub max_token_length: Option<usize>,
    /// Of pairs that occur equally often.
    pub tie_break: TieBreak,
    /// Special tokens, which get the ids after all others.
    pub specials: Vec<String>,
    /// Merges to begin with, as [`Tokenizer::merges`] gives them.
    pub begin: Vec<[Vec<u8>; 2]>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            vocabulary: 32_768,
            min_frequency: 2,
            max_token_length: None,
            tie_break: TieBreak::default(),
            specials: Vec::new(),
            begin: Vec::new(),
        }
    }
}

/// What training made.
#[derive(Debug)]
pub struct Trained {
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// For each merge how often its pair occurred.
    pub counts: Vec<u64>,
}

/// Learns merges. A vocabulary cut to its first merges is what training to fewer gives.
///
/// # Errors
/// When the inventory is empty, or the vocabulary is too small for the bytes and the special tokens. `on_merge` is told how
/// many merges there are after each, and stops training when it answers false.
pub fn train(
    inventory: &Inventory,
    pattern: Pattern,
    config: &TrainConfig,
    mut on_merge: impl FnMut(usize) -> bool,
) -> Result<Trained, Error> {
    if inventory.is_empty() {
        return Err(Error::Request("there is no text to learn from".into()));
    }
    let least = 256 + config.specials.len();
    if config.vocabulary < least {
        let problem =
            format!("a vocabulary of {} has no room for 256 bytes and the special tokens", config.vocabulary);
        return Err(Error::Request(format!("{problem}; take {least} or more")));
    }
    let mut trainer = Trainer::new(inventory, config);
    let mut counts = Vec::new();
    let mut places: HashMap<Vec<u8>, u32> = trainer.tokens.iter().cloned().zip(0..).collect();
    for [left, right] in &config.begin {
        let (Some(left), Some(right)) = (places.get(left), places.get(right)) else {
            return Err(Error::Request("the merges to begin with are not those of a tokenizer".into()));
        };
        let pair = (*left, *right);
        let count = trainer.pairs.get(&pair).map_or(0, |occurrences| occurrences.count.max(0) as u64);
        trainer.merge(pair, count, &mut counts);
        places.extend(trainer.tokens.last().cloned().zip(Some(trainer.tokens.len() as u32 - 1)));
    }
    while trainer.tokens.len() + config.specials.len() < config.vocabulary {
        let Some((count, pair)) = trainer.next() else { break };
        trainer.merge(pair, count, &mut counts);
        if !on_merge(counts.len()) {
            break;
        }
    }
    let specials = config.specials.iter().cloned().zip(trainer.tokens.len() as u32..).collect::<Vec<_>>();
    let tokens: Vec<(Vec<u8>, u32)> = trainer.tokens.into_iter().zip(0..).collect();
    Ok(Trained { tokenizer: Tokenizer::new(&tokens, pattern, &specials)?, counts })
}

type Pair = (u32, u32);

/// Where a pair occurs, and how often in all.
#[derive(Default)]
struct Occurrences {
    count: i64,
    /// Words that have or had it, each once or more.
    words: Vec<u32>,
}

struct Trainer<'a> {
    config: &'a TrainConfig,
    /// The symbols of all words, one after another; a word shrinks in its place.
    symbols: Vec<u32>,
    /// Where each word begins, and how many symbols it has left.
    words: Vec<(u32, u32)>,
    frequencies: Vec<u64>,
    tokens: Vec<Vec<u8>>,
    pairs: HashMap<Pair, Occurrences, BuildHasherDefault<PairHasher>>,
    heap: BinaryHeap<(u64, Reverse<Pair>)>,
}

impl<'a> Trainer<'a> {
    fn new(inventory: &Inventory, config: &'a TrainConfig) -> Self {
        // Bytes are numbered by the characters that they are written as, or as they are.
        let written = alphabet();
        let mut bytes: Vec<u8> = (0..=255).collect();
        if config.tie_break == TieBreak::HuggingFace {
            bytes.sort_by_key(|byte| written[usize::from(*byte)]);
        }
        let mut symbol = [0; 256];
        for (number, byte) in (0..).zip(&bytes) {
            symbol[usize::from(*byte)] = number;
        }
        let mut trainer = Self {
            config,
            symbols: Vec::new(),
            words: Vec::with_capacity(inventory.len()),
            frequencies: Vec::with_capacity(inventory.len()),
            tokens: bytes.into_iter().map(|byte| vec![byte]).collect(),
            pairs: HashMap::default(),
            heap: BinaryHeap::new(),
        };
        for (piece, count) in inventory.pieces() {
            // A word of one byte has no pairs.
            if piece.len() > 1 {
                trainer.words.push((trainer.symbols.len() as u32, piece.len() as u32));
                trainer.symbols.extend(piece.iter().map(|byte| symbol[usize::from(*byte)]));
                trainer.frequencies.push(count);
            }
        }
        for word in 0..trainer.words.len() as u32 {
            let (start, length) = trainer.words[word as usize];
            for place in start as usize..(start + length) as usize - 1 {
                let pair = (trainer.symbols[place], trainer.symbols[place + 1]);
                trainer.change(pair, word, trainer.frequencies[word as usize] as i64);
            }
        }
        trainer.heap = trainer
            .pairs
            .iter()
            .map(|(pair, occurrences)| (occurrences.count as u64, Reverse(*pair)))
            .collect();
        trainer
    }

    fn change(&mut self, pair: Pair, word: u32, by: i64) {
        let occurrences = self.pairs.entry(pair).or_default();
        occurrences.count += by;
        if by > 0 && occurrences.words.last() != Some(&word) {
            occurrences.words.push(word);
        }
    }

    /// The most frequent pair, and how often it occurs.
    fn next(&mut self) -> Option<(u64, Pair)> {
        let first = self.pop()?;
        if self.config.tie_break == TieBreak::HuggingFace {
            return Some(first);
        }
        let mut equals = vec![first];
        while let Some(other) = self.pop() {
            equals.push(other);
            if other.0 < first.0 {
                break;
            }
        }
        let best = match self.config.tie_break {
            TieBreak::Bytes => {
                let bytes = |pair: Pair| (&self.tokens[pair.0 as usize], &self.tokens[pair.1 as usize]);
                equals
                    .iter()
                    .copied()
                    .filter(|(count, _)| *count == first.0)
                    .min_by_key(|(_, pair)| bytes(*pair))
            }
            _ => equals
                .iter()
                .copied()
                .filter(|(count, _)| *count == first.0)
                .min_by_key(|(_, pair)| self.place(*pair)),
        }?;
        self.heap.extend(
            equals.iter().filter(|other| **other != best).map(|(count, pair)| (*count, Reverse(*pair))),
        );
        Some(best)
    }

    /// The heap's first entry that is as it was when it was put there.
    fn pop(&mut self) -> Option<(u64, Pair)> {
        while let Some((count, Reverse(pair))) = self.heap.pop() {
            let now = self.pairs.get(&pair).map_or(0, |occurrences| occurrences.count.max(0) as u64);
            if now == count && count > 0 {
                if count < self.config.min_frequency {
                    return None;
                }
                return Some((count, pair));
            }
            if now > 0 {
                self.heap.push((now, Reverse(pair)));
            }
        }
        None
    }

    /// The word and the place where a pair occurs first.
    fn place(&self, pair: Pair) -> Option<(u32, usize)> {
        let words = &self.pairs.get(&pair)?.words;
        let within = |word: u32| {
            let (start, length) = self.words[word as usize];
            let symbols = &self.symbols[start as usize..(start + length) as usize];
            symbols.windows(2).position(|two| (two[0], two[1]) == pair).map(|place| (word, place))
        };
        words.iter().filter_map(|word| within(*word)).min()
    }

    fn merge(&mut self, pair: Pair, count: u64, counts: &mut Vec<u64>) {
        let token = [&self.tokens[pair.0 as usize][..], &self.tokens[pair.1 as usize]].concat();
        // No other pair makes the same bytes: in a span of its own, a token arises in one way (see `merge.rs`).
        let new = self.tokens.len() as u32;
        counts.push(count);
        self.tokens.push(token);
        let mut words = self.pairs.remove(&pair).unwrap_or_default().words;
        words.sort_unstable();
        words.dedup();
        let mut changed: Vec<Pair> = Vec::new();
        for word in words {
            self.merge_word(word, pair, new, &mut changed);
        }
        changed.sort_unstable();
        changed.dedup();
        for pair in changed {
            if let Some(occurrences) = self.pairs.get(&pair).filter(|occurrences| occurrences.count > 0) {
                self.heap.push((occurrences.count as u64, Reverse(pair)));
            }
        }
    }

    fn length(&self, symbol: u32) -> usize {
        self.tokens[symbol as usize].len()
    }

    fn merge_word(&mut self, word: u32, pair: Pair, new: u32, changed: &mut Vec<Pair>) {
        let (start, length) = self.words[word as usize];
        let (start, end) = (start as usize, (start + length) as usize);
        let frequency = self.frequencies[word as usize] as i64;
        let limit = self.config.max_token_length.unwrap_or(usize::MAX);
        let (mut read, mut write) = (start, start);
        while read < end {
            if read + 1 < end && (self.symbols[read], self.symbols[read + 1]) == pair {
                if write > start {
                    let before = self.symbols[write - 1];
                    self.change((before, pair.0), word, -frequency);
                    if self.length(before) + self.length(new) <= limit {
                        self.change((before, new), word, frequency);
                        changed.push((before, new));
                    }
                }
                if read + 2 < end {
                    let after = self.symbols[read + 2];
                    self.change((pair.1, after), word, -frequency);
                    if self.length(new) + self.length(after) <= limit {
                        self.change((new, after), word, frequency);
                        changed.push((new, after));
                    }
                }
                self.symbols[write] = new;
                read += 2;
            } else {
                self.symbols[write] = self.symbols[read];
                read += 1;
            }
            write += 1;
        }
        self.words[word as usize].1 = (write - start) as u32;
    }
}

/// Two numbers of 32 bits mixed.
#[derive(Default)]
struct PairHasher(u64);

impl Hasher for PairHasher {
    fn write(&mut self, _: &[u8]) {}

    fn write_u32(&mut self, value: u32) {
        self.0 = (self.0.rotate_left(32) ^ u64::from(value)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 29
    }
}
