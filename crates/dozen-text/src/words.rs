//! Distinct words, or pieces of text, and their numbers.

use crate::vocabulary::{hash, same};

/// Words, none of them empty, numbered in the order in which they came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Words {
    bytes: Vec<u8>,
    /// Where each word starts, and where the last one ends.
    starts: Vec<usize>,
    /// A power of two of slots, at most half of them full: the high half of a word's hash, and its number.
    slots: Vec<u64>,
}

const EMPTY: u64 = u64::MAX;

impl Default for Words {
    fn default() -> Self {
        Self { bytes: Vec::new(), starts: vec![0], slots: vec![EMPTY; 64] }
    }
}

impl Words {
    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub(crate) fn word(&self, number: u32) -> &[u8] {
        &self.bytes[self.starts[number as usize]..self.starts[number as usize + 1]]
    }

    pub(crate) fn find(&self, word: &[u8]) -> Option<u32> {
        self.look_up(word, 0, word.len(), hash(word, 0, word.len())).ok()
    }

    /// The number of the word at a place in a text, a new one if it was not there.
    #[inline]
    pub(crate) fn number(&mut self, text: &[u8], start: usize, length: usize) -> u32 {
        let hash = hash(text, start, length);
        match self.look_up(text, start, length, hash) {
            Ok(number) => number,
            Err(slot) => self.add(&text[start..start + length], hash, slot),
        }
    }

    /// The number of a word, or the slot where it would stand.
    #[inline(always)]
    fn look_up(&self, text: &[u8], start: usize, length: usize, hash: u64) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let entry = self.slots[slot];
            if entry == EMPTY {
                return Err(slot);
            }
            if entry >> 32 == hash >> 32 {
                let number = entry as u32 as usize;
                let own = self.starts[number];
                if self.starts[number + 1] - own == length && same((&self.bytes, own), (text, start), length)
                {
                    return Ok(number as u32);
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    #[cold]
    fn add(&mut self, word: &[u8], hash: u64, slot: usize) -> u32 {
        let number = self.len() as u32;
        self.bytes.extend(word);
        self.starts.push(self.bytes.len());
        self.slots[slot] = hash >> 32 << 32 | u64::from(number);
        if 2 * self.len() > self.slots.len() {
            self.grow();
        }
        number
    }

    fn grow(&mut self) {
        let mask = 2 * self.slots.len() - 1;
        self.slots = vec![EMPTY; mask + 1];
        for number in 0..self.len() as u32 {
            let word = self.word(number);
            let hash = hash(word, 0, word.len());
            let mut slot = hash as usize & mask;
            while self.slots[slot] != EMPTY {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = hash >> 32 << 32 | u64::from(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn words_keep_their_numbers_while_the_table_grows() {
        let mut words = Words::default();
        let names: Vec<String> = (0..5000).map(|n| format!("{}{n}", "word".repeat(n % 6))).collect();
        for (number, name) in names.iter().enumerate() {
            assert_eq!(words.number(name.as_bytes(), 0, name.len()), number as u32);
        }
        for (number, name) in names.iter().enumerate() {
            assert_eq!(words.find(name.as_bytes()), Some(number as u32));
            assert_eq!(words.word(number as u32), name.as_bytes());
        }
        assert_eq!(words.find(b"wor"), None);
    }
}
