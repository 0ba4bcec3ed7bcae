//! The same ids and merges as tiktoken, Hugging Face's tokenizers and SentencePiece, from `parity/tokenizer.json`, which
//! `parity/tokenizer.py` made.

use std::path::Path;

use base64::Engine;
use dozen_text::*;
use serde_json::Value;

fn golden() -> Value {
    // Tests run in their package's folder.
    serde_json::from_str(&std::fs::read_to_string("../../parity/tokenizer.json").unwrap()).unwrap()
}

fn open(name: &str, bytes: &[u8], pattern: Option<&str>) -> Result<Tokenizer, Error> {
    let folder = std::env::temp_dir().join(format!("dozen-text-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(name);
    std::fs::write(&file, bytes).unwrap();
    Tokenizer::open(&file, pattern)
}

fn assert_ids(tokenizer: &Tokenizer, cases: &Value, ids: &Value, name: &str) {
    for (case, ids) in cases.as_array().unwrap().iter().zip(ids.as_array().unwrap()) {
        let text = case.as_str().unwrap();
        let expected: Vec<u32> =
            ids.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        assert_eq!(tokenizer.encode_ordinary(text).unwrap(), expected, "{name}: {text:?}");
        assert_eq!(tokenizer.decode(&expected).unwrap(), text);
    }
}

#[test]
fn ids_of_tiktoken_and_of_hugging_face_through_every_format() {
    let golden = golden();
    let file = golden["tokenizer.json"].as_str().unwrap();
    for (name, ids) in golden["ids"].as_object().unwrap() {
        let tokenizer = open(&format!("{name}.json"), file.as_bytes(), Some(name)).unwrap();
        assert_ids(&tokenizer, &golden["cases"], ids, name);
        // Written and read again in each format, and by its regular expression.
        let ranks = tokenizer.to_tiktoken().unwrap();
        let expression = tokenizer.pattern().expression().unwrap();
        let regex = format!("(?:{expression})");
        assert_ids(
            &open("ranks.tiktoken", ranks.as_bytes(), Some(&regex)).unwrap(),
            &golden["cases"],
            ids,
            "regex",
        );
        let written = tokenizer.to_hugging_face().unwrap();
        assert_ids(
            &open("written.json", written.as_bytes(), None).unwrap(),
            &golden["cases"],
            ids,
            "written",
        );
        let (vocabulary, merges) = tokenizer.to_merges().unwrap();
        open("vocab.json", vocabulary.as_bytes(), None).err();
        assert_ids(
            &open("merges.txt", merges.as_bytes(), Some(name)).unwrap(),
            &golden["cases"],
            ids,
            "merges",
        );
    }
}

#[test]
fn merges_of_hugging_faces_trainer() {
    let golden = golden();
    let pattern = Pattern::new("llama3").unwrap();
    let mut inventory = Inventory::new();
    inventory.count(&pattern, golden["corpus"].as_str().unwrap().as_bytes()).unwrap();
    let file: Value = serde_json::from_str(golden["tokenizer.json"].as_str().unwrap()).unwrap();
    for (vocabulary, expected) in [(300, &golden["merges_of_300"]), (600, &file["model"]["merges"])] {
        let config = TrainConfig { vocabulary, ..TrainConfig::default() };
        let trained = train(&inventory, pattern.clone(), &config, |_| true).unwrap();
        let written: Value = serde_json::from_str(&trained.tokenizer.to_hugging_face().unwrap()).unwrap();
        assert_eq!(written["model"]["merges"], *expected);
    }
}

#[test]
fn ids_of_sentence_piece() {
    let golden = &golden()["sentence_piece"];
    let model = base64::engine::general_purpose::STANDARD.decode(golden["model"].as_str().unwrap()).unwrap();
    let tokenizer = open("small.model", &model, None).unwrap();
    assert_ids(&tokenizer, &golden["cases"], &golden["ids"], "SentencePiece");
    assert!(tokenizer.to_tiktoken().is_err() && tokenizer.to_hugging_face().is_err());
}

/// Files that are cut off or changed anywhere are read or refused with a sentence, and never a panic.
#[test]
fn broken_files_are_sentences() {
    let golden = golden();
    let file = golden["tokenizer.json"].as_str().unwrap();
    let tokenizer = open("whole.json", file.as_bytes(), None).unwrap();
    let ranks = tokenizer.to_tiktoken().unwrap();
    let model = golden["sentence_piece"]["model"].as_str().unwrap();
    let model = base64::engine::general_purpose::STANDARD.decode(model).unwrap();
    for (name, bytes) in
        [("b.json", file.as_bytes()), ("b.tiktoken", ranks.as_bytes()), ("b.model", &model[..])]
    {
        for step in 0..60 {
            let place = bytes.len() * step / 60;
            open(name, &bytes[..place], Some("gpt2")).err();
            let mut changed = bytes.to_vec();
            changed[place] ^= 1 << (step % 8);
            open(name, &changed, Some("gpt2")).err();
        }
    }
    let say = |name: &str, text: &str| open(name, text.as_bytes(), None).err().unwrap().to_string();
    let ends = |name: &str, text: &str, end: &str| {
        let said = say(name, text);
        assert!(said.ends_with(end), "{said}");
    };
    let first = ranks.lines().next().unwrap();
    ends("cl100k_base.tiktoken", &format!("{ranks}{first}9"), "tokens 0 and 9 are the same, `!`");
    ends(
        "cl100k_base.tiktoken",
        "IQ==",
        "`IQ==`, is not a token in base64, a blank and a rank: there is no blank",
    );
    ends("cl100k_base.tiktoken", "IQ== 0", "one for each of the 256");
    ends("mine.tiktoken", &ranks, "name the pattern");
    let edit = |from: &str, to: &str| {
        assert!(file.contains(from), "{from}");
        file.replacen(from, to, 1)
    };
    ends(
        "c.json",
        &edit("\"normalizer\":null", "\"normalizer\":{\"type\":\"NFC\"}"),
        "the normalizer is \"NFC\", which this program does not do",
    );
    ends(
        "c.json",
        &edit("\"dropout\":null", "\"dropout\":0.1"),
        "dropout is 0.1, which this program does not do",
    );
    ends(
        "c.json",
        &edit("\"type\":\"BPE\"", "\"type\":\"Unigram\""),
        "the model is \"Unigram\", which this program does not do",
    );
    ends(
        "c.json",
        &edit("\"merges\":[", "\"merges\":[[\"zzz\",\"a\"],"),
        "merge 0, `zzz a`: there is no token `zzza`",
    );
    ends("c.json", "{", "this is no JSON: EOF while parsing an object at line 1 column 1");
    assert!(Tokenizer::open(Path::new("no such file"), None).is_err());
}

/// Vocabularies of OpenAI's, where they are present: every token alone, and its bytes.
#[test]
#[expect(clippy::print_stdout, reason = "a skipped test says why")]
fn published_vocabularies_where_they_are_present() {
    let data = std::env::var("DOZEN_DATA").unwrap_or_else(|_| "../../../shared/data".to_owned());
    let folder = Path::new(&data).join("tokenizer");
    if !folder.exists() {
        println!("skipped: {} is not there; set DOZEN_DATA to the folder of data sets", folder.display());
        return;
    }
    for name in [
        "r50k_base.tiktoken",
        "cl100k_base.tiktoken.gz",
        "o200k_base.tiktoken.gz",
        "gpt2_tokenizer.json",
        "merges.txt",
    ] {
        let tokenizer = Tokenizer::open(&folder.join(name), None).unwrap();
        assert!(tokenizer.unreachable().is_empty());
        for (token, id) in tokenizer.tokens() {
            assert_eq!(tokenizer.token(id), Some(token));
            // A token that is one piece is itself.
            let mut ends = Vec::new();
            tokenizer.pattern().each_end(token, |end| ends.push(end)).unwrap();
            if ends.len() == 1 {
                assert_eq!(tokenizer.encode_bytes(token).unwrap(), [id], "{name}: {token:x?}");
            }
        }
    }
    let cl100k = Tokenizer::open(&folder.join("cl100k_base.tiktoken.gz"), None).unwrap();
    assert_eq!(cl100k.encode("hello world", Special::Refuse).unwrap(), [15339, 1917]);
    assert_eq!(cl100k.encode("hi<|endoftext|>", Special::All).unwrap(), [6151, 100_257]);
    let long = "a".repeat(1_000_000);
    assert_eq!(cl100k.count(long.as_bytes()).unwrap(), 125_000);
    assert_eq!(cl100k.count("^".repeat(1_000_000).as_bytes()).unwrap(), 250_000);
    assert_eq!(cl100k.count(" ".repeat(1_000_000).as_bytes()).unwrap(), 7_813);
    assert_eq!(cl100k.count("\n".repeat(1_000_000).as_bytes()).unwrap(), 31_250);
}
