//! Sequences whose truth is known: strings of a grammar, bits and their parity, tagged words, a noisy wave.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::{Column, Table, Values};

/// Strings of a grammar.
#[derive(Clone, Debug, PartialEq)]
pub struct Reber {
    /// A string a line.
    pub text: String,
    /// The entropy of a character, line ends among them: the least that a model of one character after the other can reach.
    pub nats_per_character: f64,
}

/// The two ways on from each state of the grammar: what is written, and the next state; 5 is the last.
const REBER: [[(char, usize); 2]; 5] = [
    [('T', 1), ('P', 2)],
    [('S', 1), ('X', 3)],
    [('T', 2), ('V', 4)],
    [('X', 2), ('S', 5)],
    [('P', 3), ('V', 5)],
];

/// Strings of Reber's grammar (1967): from `B` to `E`, both ways on from each state as likely. A string takes six choices on average and has nine
/// characters with its line end, so that a character has `6 ln 2 / 9` nats.
pub fn reber(strings: usize, seed: u64) -> Reber {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut text = String::new();
    for _ in 0..strings {
        text.push('B');
        let mut state = 0;
        while state < REBER.len() {
            let (symbol, next) = REBER[state][usize::from(rng.random::<bool>())];
            text.push(symbol);
            state = next;
        }
        text.push_str("E\n");
    }
    Reber { text, nats_per_character: 6.0 * std::f64::consts::LN_2 / 9.0 }
}

/// Whether a line is a string of Reber's grammar.
pub fn is_reber(line: &str) -> bool {
    let Some(inner) = line.strip_prefix('B').and_then(|line| line.strip_suffix('E')) else { return false };
    let step = |state: usize, symbol: char| {
        REBER.get(state)?.iter().find(|(written, _)| *written == symbol).map(|(_, next)| *next)
    };
    inner.chars().try_fold(0, step) == Some(REBER.len())
}

/// Rows of bits, one to `longest` of them with white space between, in column `text`, and in column `label` whether an odd number of them are ones.
pub fn parity(rows: usize, longest: usize, seed: u64) -> Table {
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut texts, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let bits: Vec<bool> = (0..rng.random_range(1..=longest.max(1))).map(|_| rng.random()).collect();
        let odd = bits.iter().filter(|bit| **bit).count() % 2 == 1;
        texts.push(bits.iter().map(|bit| if *bit { "1" } else { "0" }).collect::<Vec<_>>().join(" "));
        labels.push(if odd { "odd" } else { "even" }.to_owned());
    }
    let columns = vec![Column::new("text", Values::Text(texts)), Column::new("label", Values::Text(labels))];
    Table::new(columns).expect("columns of one length")
}

/// Sentences of words with parts of speech, a word a line and sentences apart by an empty line. Half of the nouns are verbs, too; which of both a word is
/// follows from the words before it, so that every tag can be known.
pub fn tagged(sentences: usize, seed: u64) -> String {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut text = String::new();
    let word = |rng: &mut StdRng, stem: &str, count: u32| format!("{stem}{}", rng.random_range(0..count));
    for _ in 0..sentences {
        for phrase in 0..rng.random_range(1..=3) {
            if phrase > 0 {
                text += "and CONJ\n";
            }
            for part in ["subject", "object"] {
                text += if rng.random() { "the DET\n" } else { "a DET\n" };
                for _ in 0..rng.random_range(0..3) {
                    text += &format!("{} ADJ\n", word(&mut rng, "adj", 20));
                }
                let stem = if rng.random() { "both" } else { "noun" };
                text += &format!("{} NOUN\n", word(&mut rng, stem, 20));
                if part == "subject" {
                    let stem = if rng.random() { "both" } else { "verb" };
                    text += &format!("{} VERB\n", word(&mut rng, stem, 20));
                }
            }
        }
        text.push('\n');
    }
    text
}

/// Two columns: a wave of period 24 and one of period 60, added with noise of deviation 0.1, and its noisy double. The best prediction of the next row errs
/// by the noise: 0.1 and 0.2.
pub fn series(rows: usize, seed: u64) -> Table {
    let mut rng = StdRng::seed_from_u64(seed);
    // Twelve uniform numbers add up to variance one.
    let mut noise = || 0.1 * ((0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for row in 0..rows {
        let turn = |period: f64| (std::f64::consts::TAU * row as f64 / period).sin();
        let wave = turn(24.0) + 0.5 * turn(60.0);
        first.push(wave + noise());
        second.push(2.0 * (wave + noise()));
    }
    let columns =
        vec![Column::new("wave", Values::Number(first)), Column::new("double", Values::Number(second))];
    Table::new(columns).expect("columns of one length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reber_strings_are_of_the_grammar_and_as_long_as_said() {
        let made = reber(20_000, 3);
        assert!(made.text.lines().all(is_reber));
        assert!(!is_reber("BTXE") && !is_reber("TXSE") && is_reber("BTXSE"));
        let mean = made.text.len() as f64 / 20_000.0;
        assert!((mean - 9.0).abs() < 0.1, "{mean}");
    }

    #[test]
    fn parity_counts_ones() {
        let table = parity(100, 12, 1);
        let texts = &table.column("text").unwrap().values;
        let labels = &table.column("label").unwrap().values;
        for row in 0..100 {
            let odd = texts.text(row).matches('1').count() % 2 == 1;
            assert_eq!(labels.text(row), if odd { "odd" } else { "even" });
        }
    }
}
