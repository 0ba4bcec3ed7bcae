//! The end of an ASCII word, sixteen bytes at once and without a branch for each: most pieces are a blank and a word.

/// Sixteen bytes of a text from a place on, and what kinds of ASCII letters they are: the highest bit of each byte.
#[derive(Clone, Copy)]
pub(super) struct Word {
    lower: [u64; 2],
    upper: [u64; 2],
    bytes: [u8; 16],
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * ONES;

/// Marks the bytes between two ASCII characters, both among them.
#[inline(always)]
fn between(bytes: u64, first: u8, last: u8) -> u64 {
    let low = bytes & !HIGH;
    let from_first = low + u64::from(0x80 - first) * ONES;
    let beyond_last = low + u64::from(0x7f - last) * ONES;
    from_first & !beyond_last & !bytes & HIGH
}

/// How many bytes from the first on are marked.
#[inline(always)]
fn run(marks: [u64; 2]) -> usize {
    let unmarked = marks.map(|marks| marks ^ HIGH);
    let [low, high] = unmarked.map(|marks| marks.trailing_zeros() as usize / 8);
    if unmarked[0] == 0 { 8 + high } else { low }
}

impl Word {
    /// What stands at a place; none near the text's end.
    #[inline(always)]
    pub(super) fn at(text: &[u8], start: usize) -> Option<Self> {
        let bytes: [u8; 16] = text.get(start..start + 16)?.try_into().ok()?;
        let whole = u128::from_le_bytes(bytes);
        let halves = [whole as u64, (whole >> 64) as u64];
        Some(Self {
            lower: halves.map(|half| between(half, b'a', b'z')),
            upper: halves.map(|half| between(half, b'A', b'Z')),
            bytes,
        })
    }

    /// The length of a blank, or a letter of either case, and the letters that follow, if it ends within the sixteen bytes
    /// before another ASCII character.
    #[inline(always)]
    pub(super) fn any_case(self) -> Option<usize> {
        let mut letters = [self.lower[0] | self.upper[0], self.lower[1] | self.upper[1]];
        // A blank must be followed by a letter.
        let blank = self.bytes[0] == b' ' && letters[0] & 0x8000 != 0;
        if !blank && letters[0] & 0x80 == 0 {
            return None;
        }
        letters[0] |= 0x80;
        let length = run(letters);
        (length < 16 && self.bytes[length] < 128).then_some(length)
    }

    /// The same, of letters of which only the first may be upper case; it ends before upper case, too, and not before an
    /// apostrophe.
    #[inline(always)]
    pub(super) fn lower_case(self) -> Option<usize> {
        let letters = self.lower[0] | self.upper[0];
        let mut lower = self.lower;
        if self.bytes[0] == b' ' {
            // The blank and one letter, then lower case.
            if letters & 0x8000 == 0 {
                return None;
            }
            lower[0] |= 0x8080;
        } else {
            if letters & 0x80 == 0 {
                return None;
            }
            lower[0] |= 0x80;
        }
        let length = run(lower);
        // Two letters of upper case at the start are another matter.
        let last_is_lower = (self.lower[(length - 1) / 8 % 2] >> (8 * ((length - 1) % 8))) & 0x80 != 0;
        let end = self.bytes[length % 16];
        (length < 16 && end < 128 && end != b'\'' && last_is_lower).then_some(length)
    }
}
