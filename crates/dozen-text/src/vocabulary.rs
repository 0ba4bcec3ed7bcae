//! The bytes of all tokens, and which token some bytes are.

use crate::Error;

/// No token.
pub(crate) const NONE: u32 = u32::MAX;

/// Tokens in the order of their merges: what is merged first comes first. This order is all that merging goes by; ids may
/// be anything.
#[derive(Clone, Debug)]
pub(crate) struct Vocabulary {
    bytes: Vec<u8>,
    starts: Vec<u32>,
    ids: Vec<u32>,
    /// Tokens from this one on are what a whole piece may be, but no merge makes.
    mergeable: u32,
    longest: usize,
    /// A hash table, open addressing: the high half of the hash, and the token.
    slots: Vec<u64>,
    /// A bit for what other bits of the hash may be: small, so that most of what is no token is told without the table.
    filter: Vec<u64>,
    /// The token of each pair of bytes.
    pairs: Vec<u32>,
    /// The token of each byte.
    bytes_alone: [u32; 256],
}

const EMPTY: u64 = u64::MAX;
/// What loads of 16 bytes may read behind the last token.
const PADDING: usize = 16;

impl Vocabulary {
    /// Of tokens and their ids in the order of their merges, of which the first so many can be merged.
    pub(crate) fn new<'a>(
        tokens: impl ExactSizeIterator<Item = (&'a [u8], u32)>,
        mergeable: usize,
    ) -> Result<Self, Error> {
        let count = tokens.len();
        if count >= 1 << 20 {
            return Err(Error::Vocabulary(format!("{count} tokens are more than 2^20 - 1")));
        }
        let mut vocabulary = Self {
            bytes: Vec::with_capacity(8 * count),
            starts: Vec::with_capacity(count + 1),
            ids: Vec::with_capacity(count),
            mergeable: mergeable as u32,
            longest: 0,
            slots: vec![EMPTY; (2 * count).next_power_of_two().max(16)],
            filter: vec![0; (8 * count).next_power_of_two().max(64) / 64],
            pairs: vec![NONE; 1 << 16],
            bytes_alone: [NONE; 256],
        };
        vocabulary.starts.push(0);
        for (token, id) in tokens {
            vocabulary.bytes.extend_from_slice(token);
            vocabulary.starts.push(vocabulary.bytes.len() as u32);
            vocabulary.ids.push(id);
            vocabulary.longest = vocabulary.longest.max(token.len());
        }
        vocabulary.bytes.resize(vocabulary.bytes.len() + PADDING, 0);
        for index in 0..count as u32 {
            let (start, end) =
                (vocabulary.starts[index as usize] as usize, vocabulary.starts[index as usize + 1] as usize);
            let length = end - start;
            if let ([first, second], true) = (&vocabulary.bytes[start..end], index < mergeable as u32) {
                vocabulary.pairs[usize::from(*first) << 8 | usize::from(*second)] = index;
            }
            if let [byte] = vocabulary.bytes[start..end] {
                vocabulary.bytes_alone[usize::from(byte)] = index;
            }
            if length == 0 {
                return Err(Error::Vocabulary(format!("token {} is empty", vocabulary.id(index))));
            }
            let hash = hash(&vocabulary.bytes, start, length);
            let (word, bit) = vocabulary.filtered(hash);
            vocabulary.filter[word] |= bit;
            let mut slot = vocabulary.slot(hash);
            while vocabulary.slots[slot] != EMPTY {
                let other = vocabulary.slots[slot] as u32;
                if vocabulary.token(other) == vocabulary.token(index) {
                    let token = String::from_utf8_lossy(vocabulary.token(index)).into_owned();
                    let (a, b) = (vocabulary.id(other), vocabulary.id(index));
                    return Err(Error::Vocabulary(format!("tokens {a} and {b} are the same, `{token}`")));
                }
                slot = (slot + 1) & (vocabulary.slots.len() - 1);
            }
            vocabulary.slots[slot] = hash >> 32 << 32 | u64::from(index);
        }
        Ok(vocabulary)
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn mergeable(&self) -> usize {
        self.mergeable as usize
    }

    /// The bytes of the longest token.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    pub(crate) fn token(&self, index: u32) -> &[u8] {
        &self.bytes[self.starts[index as usize] as usize..self.starts[index as usize + 1] as usize]
    }

    /// Where a token's bytes are among all, and how many.
    #[inline(always)]
    pub(crate) fn span(&self, index: u32) -> Option<(usize, usize)> {
        let start = *self.starts.get(index as usize)? as usize;
        Some((start, *self.starts.get(index as usize + 1)? as usize - start))
    }

    /// Sixteen bytes from a place among all.
    #[inline(always)]
    pub(crate) fn sixteen(&self, start: usize) -> &[u8] {
        &self.bytes[start..start + PADDING]
    }

    pub(crate) fn id(&self, index: u32) -> u32 {
        self.ids[index as usize]
    }

    fn slot(&self, hash: u64) -> usize {
        hash as usize & (self.slots.len() - 1)
    }

    /// The word and the bit of the filter that are a hash's.
    #[inline(always)]
    fn filtered(&self, hash: u64) -> (usize, u64) {
        ((hash >> 26) as usize & (self.filter.len() - 1), 1 << (hash >> 20 & 63))
    }

    /// The token that a byte is, or [`NONE`].
    #[inline(always)]
    pub(crate) fn byte(&self, byte: u8) -> u32 {
        self.bytes_alone[usize::from(byte)]
    }

    /// The token that some bytes of a text are, or [`NONE`].
    #[inline(always)]
    pub(crate) fn find(&self, text: &[u8], start: usize, length: usize) -> u32 {
        if length > self.longest {
            return NONE;
        }
        let hash = hash(text, start, length);
        let (word, bit) = self.filtered(hash);
        if self.filter[word] & bit == 0 {
            return NONE;
        }
        let mut slot = self.slot(hash);
        loop {
            let entry = self.slots[slot];
            if entry == EMPTY {
                return NONE;
            }
            if entry >> 32 == hash >> 32 {
                let index = entry as u32;
                let own = self.starts[index as usize] as usize;
                let own_length = self.starts[index as usize + 1] as usize - own;
                if own_length == length && same((&self.bytes, own), (text, start), length) {
                    return index;
                }
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    /// The token that two parts merge into, or [`NONE`].
    #[inline(always)]
    pub(crate) fn find_merged(&self, text: &[u8], start: usize, length: usize) -> u32 {
        if length == 2 {
            return self.pairs[usize::from(text[start]) << 8 | usize::from(text[start + 1])];
        }
        let found = self.find(text, start, length);
        if found < self.mergeable { found } else { NONE }
    }
}

/// Whether as many bytes from one place of a text on are those from a place of another.
#[inline(always)]
pub(crate) fn same(a: (&[u8], usize), b: (&[u8], usize), length: usize) -> bool {
    if length <= 16 {
        key(a.0, a.1, length) == key(b.0, b.1, length)
    } else {
        a.0[a.1..a.1 + length] == b.0[b.1..b.1 + length]
    }
}

/// Up to sixteen bytes of a text as a number.
#[inline(always)]
pub(crate) fn key(text: &[u8], start: usize, length: usize) -> u128 {
    let bytes = match text.get(start..start + 16) {
        Some(bytes) => u128::from_le_bytes(bytes.try_into().unwrap_or_default()),
        None => last_bytes(text, start),
    };
    bytes & (u128::MAX >> (128 - 8 * length as u32))
}

#[cold]
fn last_bytes(text: &[u8], start: usize) -> u128 {
    let mut bytes = [0; 16];
    bytes[..text.len() - start].copy_from_slice(&text[start..]);
    u128::from_le_bytes(bytes)
}

/// A hash of a number.
#[inline(always)]
pub(crate) fn hash_key(key: u128, length: u64) -> u64 {
    let (low, high) = (key as u64, (key >> 64) as u64);
    let product =
        u128::from(low ^ 0x9e37_79b9_7f4a_7c15 ^ length << 56) * u128::from(high ^ 0xd6e8_feb8_6659_fd93);
    (product as u64) ^ (product >> 64) as u64
}

/// A hash of some bytes of a text.
#[inline(always)]
pub(crate) fn hash(text: &[u8], start: usize, length: usize) -> u64 {
    if length <= 16 {
        hash_key(key(text, start, length), length as u64)
    } else {
        hash_long(text, start, length)
    }
}

fn hash_long(text: &[u8], start: usize, length: usize) -> u64 {
    let mut sum = length as u64;
    let mut place = 0;
    while place < length {
        let part = (length - place).min(16);
        sum = hash_key(key(text, start + place, part) ^ u128::from(sum) << 32, part as u64);
        place += part;
    }
    sum
}
