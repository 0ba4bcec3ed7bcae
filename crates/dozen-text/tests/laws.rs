//! Laws of encoding and decoding.

use std::sync::LazyLock;

use dozen_text::*;
use proptest::prelude::*;

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let words = [
        "the",
        " quick",
        " brown",
        "\u{65e5}\u{672c}",
        " caf\u{e9}",
        "\n\n",
        "1234",
        "!?",
        "    ",
        " fox's",
        "\u{1f600}",
    ];
    (0..6000_usize).map(|place| words[(place * place / 7 + place) % words.len()]).collect()
});

static TOKENIZERS: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| {
    let tokenizer = |name: &&str| {
        let pattern = Pattern::new(name).unwrap();
        let mut inventory = Inventory::new();
        inventory.count(&pattern, TEXT.as_bytes()).unwrap();
        let config = TrainConfig {
            vocabulary: 320,
            specials: vec!["<|end|>".into(), "<|end|>x".into()],
            ..TrainConfig::default()
        };
        train(&inventory, pattern, &config, |_| true).unwrap().tokenizer
    };
    Pattern::NAMES.iter().map(tokenizer).collect()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for tokenizer in TOKENIZERS.iter() {
            let ids = tokenizer.encode_bytes(&bytes).unwrap();
            prop_assert_eq!(tokenizer.decode_bytes(&ids).unwrap(), &bytes[..]);
            let tokens = tokenizer.offsets(&bytes).unwrap();
            prop_assert_eq!(tokens.iter().map(|token| token.id).collect::<Vec<_>>(), ids);
            let mut end = 0;
            for token in &tokens {
                prop_assert_eq!(token.range.start, end);
                prop_assert_eq!(tokenizer.token(token.id), Some(&bytes[token.range.clone()]));
                end = token.range.end;
            }
            prop_assert_eq!(end, bytes.len());
        }
    }

    #[test]
    fn any_text_streams_back_and_is_cut_at_characters(text in ".{0,60}", most in 0..20_usize) {
        for tokenizer in TOKENIZERS.iter() {
            let ids = tokenizer.encode_ordinary(&text).unwrap();
            let mut stream = tokenizer.decode_stream();
            let mut streamed: String = ids.iter().map(|id| stream.push(*id).unwrap()).collect();
            streamed.push_str(&stream.finish());
            prop_assert_eq!(&streamed, &text);
            let start = tokenizer.truncate(&text, most).unwrap();
            prop_assert!(text.starts_with(start));
            prop_assert!(start == text || tokenizer.offsets(text.as_bytes()).unwrap().iter().filter(|t| t.range.end <= start.len()).count() <= most);
        }
    }
}

/// Long texts are shared out among threads, and the caches are small beside them.
#[test]
fn threads_and_memory_change_nothing() {
    let text = TEXT.repeat(20);
    for tokenizer in TOKENIZERS.iter() {
        let of = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| tokenizer.encode_ordinary(&text).unwrap())
        };
        let one = of(1);
        assert!(text.len() > 1 << 19);
        assert_eq!(of(2), one);
        assert_eq!(of(7), one);
        assert_eq!(tokenizer.decode(&one).unwrap(), text);
    }
}

#[test]
fn special_tokens_only_by_permission() {
    let tokenizer = &TOKENIZERS[1];
    let size = tokenizer.len() as u32;
    let (end, longer) = (size - 2, size - 1);
    assert_eq!(tokenizer.specials(), [("<|end|>".to_owned(), end), ("<|end|>x".to_owned(), longer)]);
    let text = "a<|end|>xb<|end|>";
    let error = tokenizer.encode(text, Special::Refuse).err().unwrap().to_string();
    assert!(error.starts_with("the text holds the special token `<|end|>x` at byte 1;"), "{error}");
    assert!(tokenizer.encode(text, Special::Allow(&["<|end|>"])).is_err());
    let ordinary = tokenizer.encode(text, Special::Text).unwrap();
    assert!(ordinary.iter().all(|id| !tokenizer.is_special(*id)));
    assert_eq!(tokenizer.decode(&ordinary).unwrap(), text);
    let ids = tokenizer.encode(text, Special::All).unwrap();
    assert_eq!(
        ids.iter().filter(|id| tokenizer.is_special(**id)).copied().collect::<Vec<_>>(),
        [longer, end]
    );
    assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    let segments = [Segment::Control("<|end|>"), Segment::Text("<|end|>")];
    let ids = tokenizer.encode_segments(&segments).unwrap();
    assert_eq!((ids[0], ids[1..].contains(&end)), (end, false));
    assert!(tokenizer.encode_segments(&[Segment::Control("<|no|>")]).is_err());
    let error = tokenizer.decode_bytes(&[65, size]).err().unwrap().to_string();
    assert_eq!(error, format!("id {size} at place 1 is no token; ids are below {size}"));
    assert!(
        Pattern::new("cl200k")
            .err()
            .unwrap()
            .to_string()
            .starts_with("there is no pattern `cl200k`; there are gpt2")
    );
    assert!(Pattern::new("(").is_err());
}
