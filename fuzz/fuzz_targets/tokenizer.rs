//! No bytes may make a reader of tokenizers panic, and a tokenizer that was read gives back what it encodes.
#![no_main]

use dozen_text::Tokenizer;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // The first byte chooses the format, the second the length of the text behind the file.
    let [format, length, bytes @ ..] = bytes else { return };
    let endings = ["json", "tiktoken", "model"];
    let ending = endings[*format as usize % endings.len()];
    let (file, text) = bytes.split_at(bytes.len() - bytes.len().min(*length as usize));
    let path = std::env::temp_dir().join(format!("dozen-fuzz-{}.{ending}", std::process::id()));
    if std::fs::write(&path, file).is_ok()
        && let Ok(tokenizer) = Tokenizer::open(&path, Some("cl100k"))
        && let Ok(ids) = tokenizer.encode_bytes(text)
    {
        let decoded = tokenizer.decode_bytes(&ids).expect("ids that were encoded are tokens");
        assert!(ending == "model" || decoded == text);
    }
});
