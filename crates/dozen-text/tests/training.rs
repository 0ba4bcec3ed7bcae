//! Training by hand and by its laws.

use dozen_text::*;

fn whole() -> Pattern {
    Pattern::new(r"[^\n]+").unwrap()
}

fn config(merges: usize, tie_break: TieBreak) -> TrainConfig {
    TrainConfig { vocabulary: 256 + merges, min_frequency: 1, tie_break, ..TrainConfig::default() }
}

fn merged(trained: &Trained) -> Vec<String> {
    trained
        .tokenizer
        .tokens()
        .skip(256)
        .map(|(token, _)| String::from_utf8_lossy(token).into_owned())
        .collect()
}

/// The corpus of Sennrich, Haddow and Birch 2016, with a dot for the end of a word.
#[test]
fn words_of_the_paper() {
    let mut inventory = Inventory::new();
    for (word, count) in [("low.", 5), ("lower.", 2), ("newest.", 6), ("widest.", 3)] {
        inventory.add(word.as_bytes(), count);
    }
    let trained = train(&inventory, whole(), &config(10, TieBreak::FirstSeen), |_| true).unwrap();
    assert_eq!(
        merged(&trained),
        ["es", "est", "est.", "lo", "low", "ne", "new", "newest.", "low.", "wi"],
        "the first nine stand in the paper's example"
    );
    assert_eq!(trained.counts[..4], [9, 9, 9, 7]);
}

/// The example of Wikipedia's article "Byte pair encoding", by ids as minbpe numbers them.
#[test]
fn aaabdaaabac() {
    let mut inventory = Inventory::new();
    inventory.count(&whole(), b"aaabdaaabac").unwrap();
    let trained = train(&inventory, whole(), &config(3, TieBreak::FirstSeen), |_| true).unwrap();
    assert_eq!(merged(&trained), ["aa", "aaa", "aaab"]);
    assert_eq!(trained.tokenizer.encode_ordinary("aaabdaaabac").unwrap(), [258, 100, 258, 97, 99]);
}

fn text() -> String {
    let words = [
        "the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "then", "quickly", "other",
        "browner",
    ];
    let mut state = 5_u64;
    let mut text = String::new();
    for _ in 0..4000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.push(' ');
        text.push_str(words[(state >> 40) as usize % words.len()]);
    }
    text
}

/// A ladder: training to fewer tokens gives the first ones; counting in parts gives the same; text is told apart from what
/// it was not trained on by nothing but length.
#[test]
fn a_smaller_vocabulary_is_the_beginning_of_a_larger_one() {
    let text = text();
    let pattern = Pattern::new("gpt2").unwrap();
    let mut whole = Inventory::new();
    whole.count(&pattern, text.as_bytes()).unwrap();
    let half = text.len() / 2 + text[text.len() / 2..].find(' ').unwrap();
    let mut parts = Inventory::new();
    for part in [&text[..half], &text[half..]] {
        let mut inventory = Inventory::new();
        inventory.count(&pattern, part.as_bytes()).unwrap();
        let mut file = Vec::new();
        inventory.write(&mut file).unwrap();
        let mut read = Inventory::new();
        read.read(&file[..]).unwrap();
        parts.merge(&read);
    }
    assert!(whole.pieces().eq(parts.pieces()));
    for tie_break in [TieBreak::HuggingFace, TieBreak::Bytes, TieBreak::FirstSeen] {
        let large = train(&whole, pattern.clone(), &config(60, tie_break), |_| true).unwrap();
        let small = train(&parts, pattern.clone(), &config(25, tie_break), |_| true).unwrap();
        assert_eq!(merged(&large)[..25], merged(&small)[..]);
        // Going on from the smaller gives the larger.
        let config = TrainConfig { begin: small.tokenizer.merges(), ..config(60, tie_break) };
        let resumed = train(&whole, pattern.clone(), &config, |_| true).unwrap();
        assert_eq!((merged(&resumed), &resumed.counts), (merged(&large), &large.counts));
        assert!(large.counts.is_sorted_by(|a, b| a >= b));
        let ids = large.tokenizer.encode_ordinary(&text).unwrap();
        assert_eq!(large.tokenizer.decode(&ids).unwrap(), text);
        // A pair's count is how often it is merged.
        let last = large.tokenizer.len() as u32 - 1;
        assert_eq!(ids.iter().filter(|id| **id == last).count() as u64, *large.counts.last().unwrap());
    }
}

#[test]
fn limits_and_special_tokens() {
    let pattern = Pattern::new("gpt2").unwrap();
    let mut inventory = Inventory::new();
    inventory.count(&pattern, text().as_bytes()).unwrap();
    let config = TrainConfig {
        vocabulary: 320,
        max_token_length: Some(4),
        specials: vec!["<|end|>".into()],
        ..TrainConfig::default()
    };
    let trained = train(&inventory, pattern.clone(), &config, |_| true).unwrap();
    assert!(trained.tokenizer.tokens().all(|(token, _)| token.len() <= 4));
    assert_eq!(trained.tokenizer.specials()[0].1 as usize, trained.tokenizer.len() - 1);
    let stopped = train(&inventory, pattern.clone(), &config, |merges| merges < 5).unwrap();
    assert_eq!(stopped.counts.len(), 5);
    let say = |inventory: &Inventory, vocabulary| {
        let config = TrainConfig { vocabulary, ..config.clone() };
        train(inventory, pattern.clone(), &config, |_| true).err().unwrap().to_string()
    };
    assert_eq!(say(&Inventory::new(), 300), "there is no text to learn from");
    assert_eq!(
        say(&inventory, 256),
        "a vocabulary of 256 has no room for 256 bytes and the special tokens; take 257 or more"
    );
}
