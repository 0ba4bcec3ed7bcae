#![no_main]

use dozen_text::word2vec::formats::{read_fast_text, read_vectors};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let _ = read_vectors("file", file);
    let _ = read_fast_text("file", file);
});
