//! Any bytes come back from their ids, by every pattern, and windows agree with whole pieces.
#![no_main]

use std::sync::LazyLock;

use dozen_text::{Inventory, Pattern, TrainConfig, Tokenizer, train};

static TOKENIZERS: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| {
    let text = include_bytes!("../../README.md");
    let tokenizer = |name: &&str| {
        let pattern = Pattern::new(name).expect("a name");
        let mut inventory = Inventory::new();
        inventory.count(&pattern, text).expect("no regular expression");
        let config = TrainConfig { vocabulary: 600, ..TrainConfig::default() };
        train(&inventory, pattern, &config, |_| true).expect("text").tokenizer
    };
    Pattern::NAMES.iter().map(tokenizer).collect()
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for tokenizer in TOKENIZERS.iter() {
        let ids = tokenizer.encode_bytes(bytes).expect("any bytes are encoded");
        assert_eq!(tokenizer.decode_bytes(&ids).expect("ids are tokens"), bytes);
    }
});
