//! What pieces became, since most of a text is pieces seen before (Zipf's law). Bounded: what is full begins anew.

use crate::vocabulary::{hash, hash_key, key};

/// Pieces of up to 15 bytes and three ids.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Slot {
    /// The bytes, and the length in the last one; zero where there is none.
    key: u128,
    ids: [u32; IDS],
    count: u32,
}

pub(crate) const IDS: usize = 3;
/// Bytes of a piece that fit a slot.
pub(crate) const SHORT: usize = 15;
/// Sets at first, and at most: 16 MiB.
const FEWEST: usize = 1 << 12;
const MOST: usize = 1 << 18;
/// Bytes of longer pieces that are kept.
const LONG_BYTES: usize = 1 << 25;

/// Two slots, which share a line of the processor's cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Set([Slot; 2]);

const EMPTY: Set = Set([Slot { key: 0, ids: [0; IDS], count: 0 }; 2]);

pub(crate) struct Cache {
    /// A hash table: a piece is in its set or, where that is full, in the next that is not.
    sets: Vec<Set>,
    count: usize,
    long: Long,
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self { sets: vec![EMPTY; FEWEST], count: 0, long: Long::default() }
    }

    /// What a piece that fits a slot is looked up by.
    #[inline(always)]
    pub(crate) fn short_key(text: &[u8], start: usize, length: usize) -> u128 {
        key(text, start, length) | (length as u128) << 120
    }

    fn set(&self, key: u128) -> usize {
        set_of(key, self.sets.len())
    }

    /// The sets as they are now, for many pieces in a row.
    #[inline(always)]
    pub(crate) fn sets(&self) -> Sets<'_> {
        Sets(&self.sets)
    }

    /// The ids of a short piece that is not in its own set.
    pub(crate) fn further(&self, key: u128) -> Option<&[u32]> {
        let mut set = self.set(key);
        loop {
            let Set(slots) = &self.sets[set];
            for slot in slots {
                if slot.key == key {
                    return Some(&slot.ids[..slot.count as usize]);
                }
                if slot.key == 0 {
                    return None;
                }
            }
            set = (set + 1) & (self.sets.len() - 1);
        }
    }

    pub(crate) fn put_short(&mut self, key: u128, ids: &[u32]) {
        // At most half of the slots are taken.
        if self.count >= self.sets.len() {
            let larger = (2 * self.sets.len()).min(MOST);
            let sets = std::mem::replace(&mut self.sets, vec![EMPTY; larger]);
            self.count = 0;
            if sets.len() < MOST {
                for slot in sets.into_iter().flat_map(|Set(slots)| slots).filter(|slot| slot.key != 0) {
                    self.put(slot);
                }
            }
        }
        let mut slot = Slot { key, ids: [0; IDS], count: ids.len() as u32 };
        slot.ids[..ids.len()].copy_from_slice(ids);
        self.put(slot);
    }

    fn put(&mut self, slot: Slot) {
        let mut set = self.set(slot.key);
        loop {
            let Set(slots) = &mut self.sets[set];
            if let Some(free) = slots.iter_mut().find(|slot| slot.key == 0) {
                *free = slot;
                self.count += 1;
                return;
            }
            set = (set + 1) & (self.sets.len() - 1);
        }
    }

    pub(crate) fn long(&self, text: &[u8], start: usize, end: usize) -> Option<&[u32]> {
        self.long.find(text, start, end)
    }

    pub(crate) fn put_long(&mut self, piece: &[u8], ids: &[u32]) {
        self.long.put(piece, ids);
    }
}

/// Which of so many sets, a power of two, a piece belongs in.
#[inline(always)]
fn set_of(key: u128, sets: usize) -> usize {
    hash_key(key, 0) as usize & sets.wrapping_sub(1)
}

/// A look at the sets.
#[derive(Clone, Copy)]
pub(crate) struct Sets<'a>(&'a [Set]);

impl<'a> Sets<'a> {
    /// The ids of a short piece and how many they are.
    #[inline(always)]
    pub(crate) fn find(self, key: u128) -> Option<(&'a [u32; IDS], usize)> {
        // There is one, which the compiler cannot know.
        let Set([first, second]) = self.0.get(set_of(key, self.0.len()))?;
        let in_second = second.key == key;
        if first.key != key && !in_second {
            return None;
        }
        // No branch: which of the two it is cannot be foreseen.
        let slot = if in_second { second } else { first };
        Some((&slot.ids, slot.count as usize))
    }
}

/// Pieces of any length, one after another, and a table of them.
#[derive(Default)]
struct Long {
    /// The high half of a hash, and which piece; all ones where there is none.
    slots: Vec<u64>,
    pieces: Vec<Piece>,
    bytes: Vec<u8>,
    ids: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Piece {
    hash: u64,
    bytes: (u32, u32),
    ids: (u32, u32),
}

impl Long {
    fn bytes_of(&self, piece: &Piece) -> &[u8] {
        &self.bytes[piece.bytes.0 as usize..piece.bytes.1 as usize]
    }

    fn find(&self, text: &[u8], start: usize, end: usize) -> Option<&[u32]> {
        let last = self.slots.len().checked_sub(1)?;
        let hash = hash(text, start, end - start);
        let bytes = &text[start..end];
        let mut slot = hash as usize & last;
        loop {
            let entry = self.slots[slot];
            if entry == u64::MAX {
                return None;
            }
            if entry >> 32 == hash >> 32 {
                let piece = &self.pieces[entry as u32 as usize];
                if self.bytes_of(piece) == bytes {
                    return Some(&self.ids[piece.ids.0 as usize..piece.ids.1 as usize]);
                }
            }
            slot = (slot + 1) & last;
        }
    }

    fn put(&mut self, bytes: &[u8], ids: &[u32]) {
        if self.bytes.len() + bytes.len() > LONG_BYTES {
            *self = Self::default();
            if bytes.len() > LONG_BYTES / 16 {
                return;
            }
        }
        if 2 * (self.pieces.len() + 1) > self.slots.len() {
            self.slots.clear();
            self.slots.resize((4 * (self.pieces.len() + 1)).next_power_of_two().max(1 << 10), u64::MAX);
            for piece in 0..self.pieces.len() {
                self.link(piece);
            }
        }
        let (bytes_start, ids_start) = (self.bytes.len() as u32, self.ids.len() as u32);
        self.bytes.extend_from_slice(bytes);
        self.ids.extend_from_slice(ids);
        self.pieces.push(Piece {
            hash: hash(bytes, 0, bytes.len()),
            bytes: (bytes_start, self.bytes.len() as u32),
            ids: (ids_start, self.ids.len() as u32),
        });
        self.link(self.pieces.len() - 1);
    }

    fn link(&mut self, piece: usize) {
        let last = self.slots.len() - 1;
        let hash = self.pieces[piece].hash;
        let mut slot = hash as usize & last;
        while self.slots[slot] != u64::MAX {
            slot = (slot + 1) & last;
        }
        self.slots[slot] = hash >> 32 << 32 | piece as u64;
    }
}
