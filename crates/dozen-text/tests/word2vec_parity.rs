//! What gensim, fastText, word2vec.c and word2phrase.c make of the same files: parity/word2vec.json.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dozen_text::word2vec::formats::{TextFormat, read_fast_text, read_vectors, write_vectors};
use dozen_text::word2vec::{
    AnalogyScore, PhraseConfig, PhraseScore, PhraseText, WordVectors, analogies, read_analogies, read_pairs,
    similarity,
};
use serde_json::Value;

fn golden() -> Value {
    let text = std::fs::read_to_string("../../parity/word2vec.json").unwrap();
    serde_json::from_str(&text).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

fn vectors(golden: &Value) -> WordVectors {
    read_vectors("v.txt", &bytes(&golden["gensim_text"])[..]).unwrap().vectors
}

fn assert_holds(vectors: &WordVectors, expected: &Value, tolerance: f64) {
    for entry in expected.as_array().unwrap() {
        let vector = vectors.vector(entry[0].as_str().unwrap()).unwrap();
        for (value, expected) in vector.iter().zip(entry[1].as_array().unwrap()) {
            let error = (f64::from(*value) - expected.as_f64().unwrap()).abs();
            assert!(error <= tolerance, "{entry}: {value}");
        }
    }
}

#[test]
fn files_of_gensim_are_read_and_written_to_the_byte() {
    let golden = golden();
    for (name, format) in
        [("gensim_text", TextFormat::GensimText), ("gensim_binary", TextFormat::GensimBinary)]
    {
        let file = bytes(&golden[name]);
        let vectors = read_vectors(name, &file[..]).unwrap().vectors;
        assert_eq!(vectors.dictionary().len(), 16);
        assert_holds(&vectors, &golden["vectors"], 0.0);
        let mut written = Vec::new();
        write_vectors(&vectors, format, &mut written).unwrap();
        assert!(written == file, "{name}");
    }
}

#[test]
fn fast_texts_model_gives_its_vectors_for_known_and_unknown_words() {
    let golden = golden();
    let model = read_fast_text("f.bin", &bytes(&golden["fast_text"]["bin"])[..]).unwrap();
    assert_holds(&model, &golden["fast_text"]["known"], 1e-6);
    assert_holds(&model, &golden["fast_text"]["unknown"], 1e-6);
}

#[test]
fn neighbours_and_analogies_are_gensims() {
    let golden = golden();
    let vectors = vectors(&golden);
    for case in golden["most_similar"].as_array().unwrap() {
        for (key, score) in [("found", AnalogyScore::CosAdd), ("product", AnalogyScore::CosMul)] {
            let found =
                vectors.analogy(&words(&case["positive"]), &words(&case["negative"]), 5, score).unwrap();
            for (found, expected) in found.iter().zip(case[key].as_array().unwrap()) {
                assert_eq!(vectors.dictionary().word(found.word), expected[0].as_str().unwrap());
                let error = f64::from(found.score) - expected[1].as_f64().unwrap();
                assert!(error.abs() < 2e-6, "{case}: {found:?}");
            }
        }
    }
    for case in golden["doesnt_match"].as_array().unwrap() {
        assert_eq!(vectors.doesnt_match(&words(&case["words"])).unwrap(), case["odd"].as_str().unwrap());
    }
}

#[test]
fn evaluations_are_gensims() {
    let golden = golden();
    let vectors = vectors(&golden);
    let expected = &golden["evaluation"];
    let questions = read_analogies("q", expected["questions"].as_str().unwrap()).unwrap();
    let sections = analogies(&vectors, &questions, 300_000, AnalogyScore::CosAdd);
    for (section, expected) in sections.iter().zip(expected["correct"].as_array().unwrap()) {
        assert_eq!(section.name, expected[0].as_str().unwrap());
        assert_eq!(section.correct as u64, expected[1].as_u64().unwrap());
        assert_eq!((section.known - section.correct) as u64, expected[2].as_u64().unwrap());
    }
    let pairs = read_pairs("p", expected["pairs"].as_str().unwrap()).unwrap();
    let found = similarity(&vectors, &pairs, 300_000, false);
    assert!((found.spearman - expected["spearman"].as_f64().unwrap()).abs() < 1e-12);
    assert!((found.pearson - expected["pearson"].as_f64().unwrap()).abs() < 1e-6);
    let unknown = 100.0 * (found.pairs - found.found) as f64 / found.pairs as f64;
    assert!((unknown - expected["unknown_percent"].as_f64().unwrap()).abs() < 1e-9);
}

#[test]
fn phrases_are_word2phrases() {
    let golden = golden();
    let expected = &golden["phrases"];
    let mut text = PhraseText::new();
    text.read(expected["text"].as_str().unwrap().as_bytes());
    text.join(&PhraseConfig {
        score: PhraseScore::Original,
        threshold: expected["threshold"].as_f64().unwrap(),
        min_count: expected["min_count"].as_u64().unwrap(),
    });
    let joined: Vec<String> = text.lines().map(|line| String::from_utf8(line).unwrap()).collect();
    let expected: Vec<&str> = expected["joined"].as_str().unwrap().lines().map(str::trim).collect();
    assert!(expected.iter().any(|line| line.contains("san_francisco")));
    for (joined, expected) in joined.iter().zip(&expected) {
        assert_eq!(joined, expected);
    }
    assert_eq!(joined.len(), expected.len());
}
