//! Times of encoding, for `bench/run tokenizer`: `encode_times TOKENIZER PATTERN FILE [IDS.bin]` encodes a file five times on
//! one thread, and prints the seconds of each, the first of them cold, of loading, and of decoding.

#![expect(clippy::print_stdout, reason = "it prints its result")]

use std::path::Path;
use std::time::Instant;

use dozen_text::Tokenizer;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [tokenizer, pattern, file, out @ ..] = &words[..] else {
        return Err("usage: encode_times TOKENIZER PATTERN FILE [IDS]".into());
    };
    let text = std::fs::read(file)?;
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global()?;
    let started = Instant::now();
    let tokenizer = Tokenizer::open(Path::new(tokenizer), Some(pattern))?;
    let load = started.elapsed().as_secs_f64();
    let mut seconds = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        ids = tokenizer.encode_bytes(&text)?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    let started = Instant::now();
    assert!(tokenizer.decode_bytes(&ids)? == text, "the decoded bytes are not those that were encoded");
    let decode = started.elapsed().as_secs_f64();
    if let Some(out) = out.first() {
        std::fs::write(out, ids.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<_>>())?;
    }
    let (bytes, tokens) = (text.len(), ids.len());
    println!(
        "{{\"load\":{load},\"encode\":{seconds:?},\"decode\":{decode},\"bytes\":{bytes},\"tokens\":{tokens}}}"
    );
    Ok(())
}
