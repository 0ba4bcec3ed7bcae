//! No bytes may make the decoder of pictures panic, or give pixels that are not those of the sides it names.
#![no_main]

use dozen_vision::picture::Picture;

/// Pixels of a picture; what says of more is refused before it is decoded.
const MOST: usize = 1 << 20;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(picture) = Picture::decode_within(bytes, MOST) {
        assert_eq!(picture.pixels.len(), 3 * picture.width * picture.height);
        assert!(picture.width * picture.height <= MOST);
    }
});
