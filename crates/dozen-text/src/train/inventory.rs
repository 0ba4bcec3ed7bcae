//! How often each piece occurs: all that training needs to know of its texts.

use std::io::{BufRead, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::words::Words;
use crate::{Error, Pattern};

/// Pieces and their counts, in the order in which they were first seen. Counts of parts of a corpus can be made anywhere and
/// added together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inventory {
    pieces: Words,
    counts: Vec<u64>,
    bytes: u64,
}

impl Inventory {
    /// Of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the pieces of a text.
    ///
    /// # Errors
    /// When the pattern is a regular expression that gives up.
    pub fn count(&mut self, pattern: &Pattern, text: &[u8]) -> Result<(), Error> {
        let mut start = 0;
        pattern.each_end(text, |end| {
            self.add(&text[start..end], 1);
            start = end;
        })
    }

    /// Adds a piece that was seen so often.
    pub fn add(&mut self, piece: &[u8], count: u64) {
        self.bytes += piece.len() as u64 * count;
        let number = self.pieces.number(piece, 0, piece.len()) as usize;
        if number == self.counts.len() {
            self.counts.push(0);
        }
        self.counts[number] += count;
    }

    /// Adds what was counted elsewhere, later in the corpus.
    pub fn merge(&mut self, later: &Self) {
        for (piece, count) in later.pieces() {
            self.add(piece, count);
        }
    }

    /// Pieces and their counts, in the order in which they were first seen.
    pub fn pieces(&self) -> impl Iterator<Item = (&[u8], u64)> {
        (0..).zip(&self.counts).map(|(number, count)| (self.pieces.word(number), *count))
    }

    /// How many different pieces there are.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The bytes of all texts.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes a line `base64(piece) count` for each piece, which any engine that groups and counts can write, too.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&self, mut to: impl Write) -> std::io::Result<()> {
        for (piece, count) in self.pieces() {
            writeln!(to, "{} {count}", STANDARD.encode(piece))?;
        }
        to.flush()
    }

    /// Reads what [`Inventory::write`] wrote, and adds it.
    ///
    /// # Errors
    /// With the line that is none.
    pub fn read(&mut self, from: impl BufRead) -> Result<(), Error> {
        for (number, line) in (1..).zip(from.lines()) {
            let wrong = || {
                let problem = "is not a piece in base64, a blank and a count";
                Error::Vocabulary(format!("line {number} of the inventory {problem}"))
            };
            let line = line.map_err(|_| wrong())?;
            let (piece, count) = line.split_once(' ').ok_or_else(wrong)?;
            let piece = STANDARD.decode(piece).map_err(|_| wrong())?;
            let count: u64 = count.parse().map_err(|_| wrong())?;
            if piece.is_empty() || count == 0 {
                return Err(wrong());
            }
            self.add(&piece, count);
        }
        Ok(())
    }
}
