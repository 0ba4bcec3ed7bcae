//! From text to ids: pieces, then what each became before, or else the token that it is, or else what it merges into.

use crate::Error;
use crate::cache::{Cache, IDS, SHORT};
use crate::merge::{Merger, Part, Units};
use crate::pretokenize::{Cl100k, Cut, Gpt2, Kind, O200k, Pattern};
use crate::unicode::Kinds;
use crate::vocabulary::{NONE, Vocabulary};

/// What encoding goes by.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) vocabulary: Vocabulary,
    pub(crate) pattern: Pattern,
    pub(crate) units: Units,
    /// The ids of bytes, for characters that are no tokens.
    pub(crate) byte_ids: Option<Box<[u32; 256]>>,
}

/// One thread's memory of what it encoded.
pub(crate) struct Encoder {
    cache: Cache,
    merger: Merger,
    /// Ids of one piece.
    piece: Vec<u32>,
    /// Ids that are not handed over yet.
    block: Vec<u32>,
    filled: usize,
    ends: Vec<u32>,
}

const BLOCK: usize = 1 << 12;
/// Pieces that are cut before they are looked up.
const PIECES: usize = 512;

impl Encoder {
    pub(crate) fn new() -> Self {
        Self {
            cache: Cache::new(),
            merger: Merger::new(),
            piece: Vec::new(),
            block: vec![0; BLOCK + IDS],
            filled: 0,
            ends: Vec::with_capacity(PIECES),
        }
    }

    /// Adds the ids of ordinary text, special tokens being no more than their characters.
    pub(crate) fn encode(&mut self, rules: &Rules, text: &[u8], ids: &mut Vec<u32>) -> Result<(), Error> {
        match rules.pattern.kind() {
            Kind::Gpt2 => self.cut(rules, Gpt2, text, ids),
            Kind::Cl100k(pattern) if *pattern == (Cl100k { digits: 3, end_first: true }) => {
                // Known numbers make the commonest one quicker.
                self.cut(rules, Cl100k { digits: 3, end_first: true }, text, ids);
            }
            Kind::Cl100k(pattern) => self.cut(rules, *pattern, text, ids),
            Kind::O200k => self.cut(rules, O200k, text, ids),
            Kind::Whole | Kind::Regex(_) => {
                let mut start = 0;
                rules.pattern.each_end(text, |end| {
                    self.push_new(rules, text, start, end, ids);
                    start = end;
                })?;
            }
        }
        self.hand_over(ids);
        Ok(())
    }

    fn cut(&mut self, rules: &Rules, pattern: impl Cut, text: &[u8], ids: &mut Vec<u32>) {
        let kinds = Kinds::new();
        // Ends are counted in 32 bits from here.
        let mut base = 0;
        let mut ends = std::mem::take(&mut self.ends);
        while base < text.len() {
            ends.clear();
            let mut end = base;
            while end < text.len() && ends.len() < PIECES && end - base < 1 << 30 {
                end = pattern.end(kinds, text, end);
                ends.push((end - base) as u32);
            }
            self.look_up(rules, text, base, &ends, ids);
            base = end;
        }
        self.ends = ends;
    }

    /// Adds the ids of pieces that end at places after a base.
    #[inline(always)]
    fn look_up(&mut self, rules: &Rules, text: &[u8], base: usize, ends: &[u32], ids: &mut Vec<u32>) {
        let mut start = base;
        let mut rest = ends.iter();
        loop {
            // What is known, until something is not.
            let sets = self.cache.sets();
            let block = &mut self.block[..BLOCK + IDS];
            let mut filled = self.filled;
            let mut new = None;
            for &end in rest.by_ref() {
                let end = base + end as usize;
                let length = end - start;
                let known =
                    if length <= SHORT { sets.find(Cache::short_key(text, start, length)) } else { None };
                let Some((known, count)) = known else {
                    new = Some(end);
                    break;
                };
                block[filled..filled + IDS].copy_from_slice(known);
                filled += count;
                start = end;
                if filled >= BLOCK {
                    ids.extend_from_slice(&block[..filled]);
                    filled = 0;
                }
            }
            self.filled = filled;
            let Some(end) = new else { return };
            self.push_new(rules, text, start, end, ids);
            start = end;
        }
    }

    #[inline(never)]
    fn push_new(&mut self, rules: &Rules, text: &[u8], start: usize, end: usize, ids: &mut Vec<u32>) {
        self.hand_over(ids);
        let length = end - start;
        if length <= SHORT
            && let Some(known) = self.cache.further(Cache::short_key(text, start, length))
        {
            ids.extend_from_slice(known);
            return;
        }
        if let Some(known) = self.cache.long(text, start, end) {
            ids.extend_from_slice(known);
            return;
        }
        self.resolve(rules, text, start, end);
        if length <= SHORT && self.piece.len() <= IDS {
            self.cache.put_short(Cache::short_key(text, start, length), &self.piece);
        } else if length <= 1 << 16 {
            self.cache.put_long(&text[start..end], &self.piece);
        }
        ids.extend_from_slice(&self.piece);
    }

    /// The ids of a piece, into `self.piece`.
    fn resolve(&mut self, rules: &Rules, text: &[u8], start: usize, end: usize) {
        self.piece.clear();
        let vocabulary = &rules.vocabulary;
        let whole = vocabulary.find(text, start, end - start);
        if whole != NONE {
            self.piece.push(vocabulary.id(whole));
            return;
        }
        let mut place = start;
        for part in self.merger.merge(vocabulary, rules.units, &text[start..end]) {
            let bytes = &text[place..place + part.length as usize];
            place += bytes.len();
            match (part.token, &rules.byte_ids) {
                (NONE, Some(byte_ids)) => {
                    self.piece.extend(bytes.iter().map(|byte| byte_ids[usize::from(*byte)]));
                }
                (token, _) => self.piece.push(vocabulary.id(token)),
            }
        }
    }

    fn hand_over(&mut self, ids: &mut Vec<u32>) {
        ids.extend_from_slice(&self.block[..self.filled]);
        self.filled = 0;
    }

    /// The parts of a piece, with what each is long.
    pub(crate) fn parts(&mut self, rules: &Rules, piece: &[u8]) -> Vec<Part> {
        let vocabulary = &rules.vocabulary;
        let whole = vocabulary.find(piece, 0, piece.len());
        if whole != NONE {
            return vec![Part { token: whole, length: piece.len() as u32 }];
        }
        self.merger.merge(vocabulary, rules.units, piece).to_vec()
    }
}
