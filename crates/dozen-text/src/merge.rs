//! Merging a piece's bytes into tokens: of all neighbours that make a token the one that comes first among the merges, the
//! leftmost of equals, until none does (Gage 1994; Sennrich, Haddow and Birch 2016).
//!
//! What a span of the piece becomes depends on nothing outside of it as long as no merge crosses its ends. Two things follow.
//! A token arises in one way only, so that it is enough to know its bytes and its place in the order of merges. And tokens
//! that follow each other are the result if each two neighbours, merged alone, stay those two: so a long piece is merged in
//! windows, whose seams are proved.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::reduce::reduce;
use crate::vocabulary::{NONE, Vocabulary};

/// What a piece is before anything is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Units {
    Bytes,
    /// Characters, as in SentencePiece.
    Characters,
}

/// A token of a piece, or a character that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Among the vocabulary's tokens, or [`NONE`].
    pub(crate) token: u32,
    /// In bytes.
    pub(crate) length: u32,
}

/// A window may be this long: places are 12 bits beside 20 bits of rank.
const MOST: usize = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 12;

/// Merges pieces, with memory to do so.
#[derive(Debug)]
pub(crate) struct Merger {
    /// Of the pair that begins at a place: its rank and the place in one number, or all ones.
    ranks: Vec<u32>,
    tokens: Vec<u32>,
    next: Vec<u16>,
    previous: Vec<u16>,
    parts: Vec<Part>,
    /// A piece, and bytes that may be read behind it.
    bytes: Vec<u8>,
    window: Vec<u8>,
    window_parts: Vec<Part>,
    seam: (Part, Part),
}

impl Merger {
    pub(crate) fn new() -> Self {
        let none = Part { token: NONE, length: 0 };
        Self {
            ranks: Vec::new(),
            tokens: Vec::new(),
            next: Vec::new(),
            previous: Vec::new(),
            parts: Vec::new(),
            bytes: Vec::new(),
            window: Vec::new(),
            window_parts: Vec::new(),
            seam: (none, none),
        }
    }

    /// The parts that a piece merges into.
    pub(crate) fn merge(&mut self, vocabulary: &Vocabulary, units: Units, piece: &[u8]) -> &[Part] {
        let window = (4 * vocabulary.longest()).clamp(256, MOST);
        if piece.len() <= window {
            self.scan(vocabulary, units, piece);
        } else {
            self.in_windows(vocabulary, units, piece, window);
        }
        &self.parts
    }

    fn scan(&mut self, vocabulary: &Vocabulary, units: Units, piece: &[u8]) {
        pulp::Arch::new().dispatch(Scan { merger: self, vocabulary, units, piece });
    }

    /// A window after the other, each from the middle of the last; seams are proved.
    fn in_windows(&mut self, vocabulary: &Vocabulary, units: Units, piece: &[u8], window: usize) {
        let mut parts: Vec<Part> = Vec::with_capacity(piece.len() / 4);
        let (mut start, mut size) = (0, window);
        loop {
            let mut end = piece.len().min(start + size);
            while units == Units::Characters && end < piece.len() && piece[end] & 0xc0 == 0x80 {
                end -= 1;
            }
            self.merge_window(vocabulary, units, &piece[start..end]);
            let seam = parts.last().zip(self.window_parts.first()).map(|(a, b)| (*a, *b));
            if let Some((left, right)) = seam
                && !self.stay_apart(vocabulary, units, &piece[..start], (left, right), &piece[start..])
            {
                // The last part was a guess too many.
                parts.pop();
                start -= left.length as usize;
                size = (2 * size).min(MOST);
                if size == MOST && parts.len() < 4 {
                    return self.by_heap(vocabulary, units, piece);
                }
                continue;
            }
            if end == piece.len() {
                parts.extend_from_slice(&self.window_parts);
                self.parts = parts;
                return;
            }
            let half = start + (end - start) / 2;
            for (place, part) in self.window_parts.iter().enumerate() {
                if place > 0 && start + part.length as usize > half {
                    break;
                }
                parts.push(*part);
                start += part.length as usize;
            }
            size = window;
        }
    }

    /// The parts of a window, which is often the same as the last one.
    fn merge_window(&mut self, vocabulary: &Vocabulary, units: Units, window: &[u8]) {
        if self.window != window {
            self.scan(vocabulary, units, window);
            self.window_parts.clone_from(&self.parts);
            self.window.clear();
            self.window.extend_from_slice(window);
        }
    }

    /// Whether two neighbours, merged alone, stay those two.
    fn stay_apart(
        &mut self,
        vocabulary: &Vocabulary,
        units: Units,
        before: &[u8],
        seam: (Part, Part),
        after: &[u8],
    ) -> bool {
        if seam.0.token == NONE || seam.1.token == NONE {
            // A character that is no token takes part in no merge.
            return true;
        }
        if self.seam != seam {
            let left = &before[before.len() - seam.0.length as usize..];
            self.scan(vocabulary, units, &[left, &after[..seam.1.length as usize]].concat());
            if self.parts != [seam.0, seam.1] {
                return false;
            }
            self.seam = seam;
        }
        true
    }

    /// All pairs in a heap, for pieces whose windows find no seam; also what the others are tested against.
    pub(crate) fn by_heap(&mut self, vocabulary: &Vocabulary, units: Units, piece: &[u8]) {
        let mut parts: Vec<Part> = Vec::new();
        let mut starts = Vec::new();
        for (place, length) in units_of(units, piece) {
            starts.push(place);
            parts.push(Part { token: vocabulary.find(piece, place, length), length: length as u32 });
        }
        let count = parts.len();
        let mut next: Vec<usize> = (1..=count).collect();
        let mut previous: Vec<usize> = (0..count).map(|part| part.wrapping_sub(1)).collect();
        let rank = |parts: &[Part], a: usize, b: usize| {
            vocabulary.find_merged(piece, starts[a], (parts[a].length + parts[b].length) as usize)
        };
        let mut heap = BinaryHeap::new();
        for place in 1..count {
            heap.push(Reverse((rank(&parts, place - 1, place), place - 1)));
        }
        while let Some(Reverse((token, left))) = heap.pop() {
            let right = next.get(left).copied().unwrap_or(count);
            // Of pairs that are no more.
            if token == NONE
                || right >= count
                || parts[left].length == 0
                || rank(&parts, left, right) != token
            {
                continue;
            }
            parts[left] = Part { token, length: parts[left].length + parts[right].length };
            parts[right].length = 0;
            next[left] = next[right];
            if next[left] < count {
                previous[next[left]] = left;
                heap.push(Reverse((rank(&parts, left, next[left]), left)));
            }
            if left > 0 {
                heap.push(Reverse((rank(&parts, previous[left], left), previous[left])));
            }
        }
        parts.retain(|part| part.length > 0);
        self.parts = parts;
    }
}

/// The length of the unit at a place.
#[inline(always)]
fn unit(units: Units, piece: &[u8], place: usize) -> usize {
    if units == Units::Bytes || piece[place] < 128 {
        return 1;
    }
    crate::unicode::decode(&piece[place..]).map_or(1, |(_, length)| length)
}

/// Where each unit begins, and its length.
fn units_of(units: Units, piece: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut end = 0;
    std::iter::from_fn(move || {
        let place = end;
        (place < piece.len()).then(|| {
            let length = unit(units, piece, place);
            end += length;
            (place, length)
        })
    })
}

/// For each token the two that its own bytes merge into it from last; none for single units and where they do not.
pub(crate) fn splits(vocabulary: &Vocabulary, units: Units) -> Vec<Option<(u32, u32)>> {
    let split = |token: &[u8], index: u32| {
        let part = |(place, length)| (place, length, vocabulary.find(token, place, length));
        let merge = |left: &(usize, usize, u32), right: &(usize, usize, u32)| {
            let length = left.1 + right.1;
            let made = vocabulary.find_merged(token, left.0, length);
            (made != NONE).then_some((made, (left.0, length, made)))
        };
        let reduced = reduce(units_of(units, token).map(part).collect(), merge);
        let (left, right, made) = reduced.last?;
        (reduced.parts.len() == 1 && made.2 == index).then_some((left.2, right.2))
    };
    (0..vocabulary.len() as u32).map(|index| split(vocabulary.token(index), index)).collect()
}

/// All pairs in a row, whose least is looked for before each merge: quickest for what is not long.
struct Scan<'a> {
    merger: &'a mut Merger,
    vocabulary: &'a Vocabulary,
    units: Units,
    piece: &'a [u8],
}

impl pulp::WithSimd for Scan<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { merger, vocabulary, units, piece } = self;
        let Merger { ranks, tokens, next, previous, parts, bytes, .. } = merger;
        let n = piece.len();
        bytes.clear();
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(&[0; 16]);
        let piece = &bytes[..];
        const LANES: usize = 16;
        let padded = n.next_multiple_of(LANES);
        ranks.clear();
        ranks.resize(padded, NONE);
        tokens.clear();
        tokens.resize(n + 1, NONE);
        next.clear();
        next.resize(n + 1, 0);
        previous.clear();
        previous.resize(n + 1, 0);
        let mut place = 0;
        let mut before = 0;
        while place < n {
            let length = unit(units, piece, place);
            next[place] = (place + length) as u16;
            previous[place] = before as u16;
            before = place;
            if length > 1 {
                tokens[place] = vocabulary.find(piece, place, length);
            }
            place += length;
        }
        previous[n] = before as u16;
        let rank = |place: usize, end: usize| {
            let found = vocabulary.find_merged(piece, place, end - place);
            if found == NONE { NONE } else { found << PLACE_BITS | place as u32 }
        };
        let mut place = 0;
        while place < n {
            let middle = next[place] as usize;
            if middle < n {
                ranks[place] = rank(place, next[middle] as usize);
            }
            place = middle;
        }
        loop {
            let mut least = [NONE; LANES];
            let mut chunk = 0;
            while chunk < padded {
                let row = &ranks[chunk..chunk + LANES];
                for lane in 0..LANES {
                    least[lane] = if row[lane] < least[lane] { row[lane] } else { least[lane] };
                }
                chunk += LANES;
            }
            let mut best = NONE;
            for lane in 0..LANES {
                best = if least[lane] < best { least[lane] } else { best };
            }
            if best == NONE {
                break;
            }
            let place = best as usize % MOST;
            tokens[place] = best >> PLACE_BITS;
            let middle = next[place] as usize;
            let end = next[middle] as usize;
            ranks[middle] = NONE;
            next[place] = end as u16;
            previous[end] = place as u16;
            ranks[place] = if end < n { rank(place, next[end] as usize) } else { NONE };
            if place > 0 {
                let before = previous[place] as usize;
                ranks[before] = rank(before, end);
            }
        }
        parts.clear();
        let mut place = 0;
        while place < n {
            let end = next[place] as usize;
            let token = tokens[place];
            let token = if token == NONE && end == place + 1 { vocabulary.byte(piece[place]) } else { token };
            parts.push(Part { token, length: (end - place) as u32 });
            place = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A vocabulary of all bytes and merges of them that a text suggests, in order.
    fn vocabulary(text: &[u8], merges: usize) -> Vocabulary {
        let mut tokens: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        let mut word: Vec<Vec<u8>> = text.iter().map(|byte| vec![*byte]).collect();
        for _ in 0..merges {
            let mut counts = std::collections::BTreeMap::new();
            for pair in word.windows(2) {
                *counts.entry(pair.concat()).or_insert(0) += 1;
            }
            counts.retain(|token, _| !tokens.contains(token));
            let Some((token, _)) = counts.into_iter().max_by_key(|(_, count)| *count) else { break };
            let mut merged: Vec<Vec<u8>> = Vec::new();
            for part in word {
                match merged.last_mut() {
                    Some(last) if [&last[..], &part].concat() == token => last.extend(part),
                    _ => merged.push(part),
                }
            }
            word = merged;
            tokens.push(token);
        }
        Vocabulary::new(tokens.iter().map(|token| (&token[..], 0)), tokens.len()).unwrap()
    }

    #[test]
    fn windows_and_rows_agree_with_the_heap() {
        let text = b"abracadabra aaaaaaaaaaaaaaaaaaaaaaaa banana bandana abababababab cabbage".repeat(3);
        for merges in [0, 3, 20, 60] {
            let vocabulary = vocabulary(&text, merges);
            let mut merger = Merger::new();
            let mut state = 7_u64;
            for length in (0..40).chain([100, 255, 256, 257, 600, 3000]) {
                for letters in [1, 2, 4, 256] {
                    let mut letter = || {
                        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        match letters {
                            256 => text[(state >> 33) as usize % text.len()],
                            _ => b'a' + ((state >> 33) % letters) as u8,
                        }
                    };
                    let piece: Vec<u8> = (0..length).map(|_| letter()).collect();
                    merger.by_heap(&vocabulary, Units::Bytes, &piece);
                    let expected = merger.parts.clone();
                    assert_eq!(merger.merge(&vocabulary, Units::Bytes, &piece), expected, "{piece:?}");
                }
            }
        }
    }
}
