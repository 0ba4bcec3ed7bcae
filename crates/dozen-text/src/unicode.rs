//! What kind of character each code point is, from the tables of `regex-syntax`, which are those that patterns go by.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

/// The kinds that the patterns of byte-pair tokenizers tell apart. A line's end is white space, too.
pub(crate) mod kind {
    /// Punctuation, symbols, controls, unassigned code points, and bytes that are not UTF-8.
    pub(crate) const OTHER: u8 = 0;
    /// Upper and title case: `\p{Lu}`, `\p{Lt}`.
    pub(crate) const UPPER: u8 = 1;
    /// Lower case: `\p{Ll}`.
    pub(crate) const LOWER: u8 = 2;
    /// Letters without case: `\p{Lm}`, `\p{Lo}`.
    pub(crate) const LETTER: u8 = 3;
    /// Combining marks: `\p{M}`.
    pub(crate) const MARK: u8 = 4;
    /// Numbers: `\p{N}`.
    pub(crate) const NUMBER: u8 = 5;
    /// White space: `\s`.
    pub(crate) const SPACE: u8 = 6;
    /// Carriage return and line feed.
    pub(crate) const LINE: u8 = 7;
}

/// Two levels: a block of 256 code points, then the code point in it.
struct Table {
    blocks: Vec<u16>,
    kinds: Vec<[u8; 256]>,
    ascii: [u8; 128],
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut all = vec![[kind::OTHER; 256]; 0x11_0000 / 256];
    let classes = [
        (r"[\p{Lu}\p{Lt}]", kind::UPPER),
        (r"\p{Ll}", kind::LOWER),
        (r"[\p{Lm}\p{Lo}]", kind::LETTER),
        (r"\p{M}", kind::MARK),
        (r"\p{N}", kind::NUMBER),
        (r"\s", kind::SPACE),
        (r"[\r\n]", kind::LINE),
    ];
    for (pattern, kind) in classes {
        let parsed = regex_syntax::parse(pattern).expect("a class of characters is a pattern");
        let HirKind::Class(Class::Unicode(class)) = parsed.kind() else { continue };
        for range in class.ranges() {
            for code in range.start() as usize..=range.end() as usize {
                all[code / 256][code % 256] = kind;
            }
        }
    }
    let ascii = std::array::from_fn(|code| all[0][code]);
    let mut kinds: Vec<[u8; 256]> = Vec::new();
    let block = |block: [u8; 256]| {
        let known = kinds.iter().position(|other| *other == block);
        known.unwrap_or_else(|| {
            kinds.push(block);
            kinds.len() - 1
        }) as u16
    };
    let blocks = all.into_iter().map(block).collect();
    Table { blocks, kinds, ascii }
});

/// The tables, at hand.
#[derive(Clone, Copy)]
pub(crate) struct Kinds(&'static Table);

impl Kinds {
    pub(crate) fn new() -> Self {
        Self(&TABLE)
    }

    /// The kind of the character that begins at a place, and how many bytes it has; a byte that begins none is one of
    /// its own.
    #[inline(always)]
    pub(crate) fn at(self, text: &[u8], place: usize) -> (u8, usize) {
        let byte = text[place];
        if byte < 128 { (self.0.ascii[byte as usize], 1) } else { self.beyond_ascii(text, place) }
    }

    fn beyond_ascii(self, text: &[u8], place: usize) -> (u8, usize) {
        match decode(&text[place..]) {
            Some((code, length)) => {
                (self.0.kinds[self.0.blocks[code as usize / 256] as usize][code as usize % 256], length)
            }
            None => (kind::OTHER, 1),
        }
    }
}

/// The first character of some bytes that do not begin with ASCII, and its length, if they begin with one in UTF-8.
pub(crate) fn decode(bytes: &[u8]) -> Option<(u32, usize)> {
    let tail = |place: usize| {
        let byte = *bytes.get(place)?;
        (byte & 0xc0 == 0x80).then_some(u32::from(byte & 0x3f))
    };
    let first = u32::from(bytes[0]);
    let (code, length) = match first {
        0xc2..=0xdf => ((first & 0x1f) << 6 | tail(1)?, 2),
        0xe0..=0xef => ((first & 0x0f) << 12 | tail(1)? << 6 | tail(2)?, 3),
        0xf0..=0xf4 => ((first & 0x07) << 18 | tail(1)? << 12 | tail(2)? << 6 | tail(3)?, 4),
        _ => return None,
    };
    // Longer than it need be, a surrogate, or beyond Unicode.
    let least = [0, 0, 0x80, 0x800, 0x10000][length];
    (code >= least && char::from_u32(code).is_some()).then_some((code, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_point_is_decoded_and_nothing_else() {
        for code in 0x80..0x11_0000 {
            if let Some(character) = char::from_u32(code) {
                let mut bytes = [0; 4];
                let text = character.encode_utf8(&mut bytes).as_bytes();
                assert_eq!(decode(text), Some((code, text.len())));
                assert_eq!(decode(&text[..text.len() - 1]), None);
            }
        }
        for bytes in
            [&[0x80][..], &[0xc0, 0x80], &[0xe0, 0x80, 0x80], &[0xed, 0xa0, 0x80], &[0xf4, 0x90, 0x80, 0x80]]
        {
            assert_eq!(decode(bytes), None, "{bytes:x?}");
        }
    }
}
