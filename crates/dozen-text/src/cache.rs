//! What pieces became, since most of a text is pieces seen before (Zipf's law). Bounded: old pieces make way for new ones.

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
/// Sets at first, and at most: 8 MiB.
const FEWEST: usize = 1 << 12;
const MOST: usize = 1 << 17;
/// Bytes of longer pieces that are kept.
const LONG_BYTES: usize = 1 << 25;

/// Two slots, which share a line of the processor's cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Set([Slot; 2]);

const EMPTY: Set = Set([Slot { key: 0, ids: [0; IDS], count: 0 }; 2]);

pub(crate) struct Cache {
    sets: Vec<Set>,
    /// Since the table last grew.
    misses: usize,
    long: Long,
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self { sets: vec![EMPTY; FEWEST], misses: 0, long: Long::default() }
    }

    /// What a piece that fits a slot is looked up by.
    #[inline(always)]
    pub(crate) fn short_key(text: &[u8], start: usize, length: usize) -> u128 {
        key(text, start, length) | (length as u128) << 120
    }

    #[inline(always)]
    fn set(&self, key: u128) -> usize {
        hash_key(key, 0) as usize & (self.sets.len() - 1)
    }

    /// The ids of a short piece and how many they are.
    #[inline(always)]
    pub(crate) fn short(&self, key: u128) -> Option<(&[u32; IDS], usize)> {
        let Set([first, second]) = &self.sets[self.set(key)];
        let in_second = second.key == key;
        if first.key != key && !in_second {
            return None;
        }
        // No branch: which of the two it is cannot be foreseen.
        let slot = &[first, second][usize::from(in_second)];
        Some((&slot.ids, slot.count as usize))
    }

    pub(crate) fn put_short(&mut self, key: u128, ids: &[u32]) {
        self.misses += 1;
        if self.misses > self.sets.len() && self.sets.len() < MOST {
            self.grow();
        }
        let mut slot = Slot { key, ids: [0; IDS], count: ids.len() as u32 };
        slot.ids[..ids.len()].copy_from_slice(ids);
        self.put(slot);
    }

    fn put(&mut self, slot: Slot) {
        let set = self.set(slot.key);
        let Set([first, second]) = &mut self.sets[set];
        *second = std::mem::replace(first, slot);
    }

    fn grow(&mut self) {
        let larger = vec![EMPTY; 4 * self.sets.len()];
        let sets = std::mem::replace(&mut self.sets, larger);
        for slot in sets.into_iter().flat_map(|Set(slots)| slots).filter(|slot| slot.key != 0) {
            self.put(slot);
        }
        self.misses = 0;
    }

    pub(crate) fn long(&self, piece: &[u8]) -> Option<&[u32]> {
        self.long.find(piece)
    }

    pub(crate) fn put_long(&mut self, piece: &[u8], ids: &[u32]) {
        self.long.put(piece, ids);
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

    fn find(&self, bytes: &[u8]) -> Option<&[u32]> {
        let last = self.slots.len().checked_sub(1)?;
        let hash = hash(bytes, 0, bytes.len());
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
