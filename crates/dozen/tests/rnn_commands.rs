//! `dozen rnn ...` as its users call it.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

/// A folder with made data and the commands run in it.
struct Workplace(tempfile::TempDir);

impl Workplace {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn run(&self, line: &str) -> std::process::Output {
        let words = line.split_whitespace();
        Command::cargo_bin("dozen").unwrap().current_dir(self.0.path()).args(words).output().unwrap()
    }

    /// A command's JSON.
    fn json(&self, line: &str) -> Value {
        let output = self.run(&format!("{line} --json --quiet"));
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "dozen {line}\n{message}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The sentence of a command that is refused.
    fn refused(&self, line: &str) -> String {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(2), "dozen {line}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn read(&self, name: impl AsRef<Path>) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap()
    }
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("{key} in {value}"))
}

#[test]
fn a_language_model_is_trained_evaluated_and_writes() {
    let place = Workplace::new();
    let made = place.json("make reber -n 1500 --out reber.txt");
    let trained = place.json(
        "rnn train reber.txt --hidden 24 --layers 1 --epochs 6 --batch-size 20 --rate 0.01 --dropout 0 --sequence-length 30 --out m",
    );
    let nats = number(&trained, "valid_nats_per_token");
    assert!((nats - number(&made, "nats_per_character")).abs() < 0.05, "{trained}");
    // Characters of one byte: bits a byte are nats over ln 2.
    assert!((number(&trained, "valid_bits_per_byte") - nats / 2_f64.ln()).abs() < 1e-9);
    assert!(
        number(&trained, "tokens_per_second") > 0.0 && place.read("m/report.html").contains("What it writes")
    );
    let found = place.json("rnn eval m reber.txt");
    assert!((number(&found, "nats_per_token") - nats).abs() < 0.05, "{found}");
    let cached = place.json("rnn eval m reber.txt --cache 50 --cache-share 0");
    assert!((number(&cached, "nats_per_token") - number(&found, "nats_per_token")).abs() < 1e-6);
    let written = place.json("rnn generate m --prompt B -n 200 --samples 3 --seed 4 --top-k 3 --top-p 0.99");
    assert_eq!(written["samples"].as_array().unwrap().len(), 3);
    let again = place.json("rnn generate m --prompt B -n 200 --samples 3 --seed 4 --top-k 3 --top-p 0.99");
    assert_eq!(written["samples"], again["samples"]);
    // A stop string ends the text before it.
    let stopped = place.json("rnn generate m --prompt B -n 200 --stop E --seed 4");
    assert!(!stopped["samples"][0].as_str().unwrap().contains('E'));
    let live =
        String::from_utf8(place.run("rnn generate m --prompt BT -n 20 --temperature 0").stdout).unwrap();
    assert!(live.starts_with("BT") && live.ends_with('\n'), "{live}");
    let error = place.refused("rnn generate m --prompt Bäh");
    assert!(error.contains("the prompt has the character 'ä' at byte 1"), "{error}");
    assert!(place.refused("rnn predict m reber.txt").contains("dozen rnn generate"));
}

#[test]
fn weights_go_to_pytorch_and_come_back() {
    let place = Workplace::new();
    place.json("make reber -n 300 --out reber.txt");
    place.json("rnn train reber.txt --cell gru --hidden 12 --epochs 1 --sequence-length 20 --out m");
    place.json("rnn export m --to pytorch --out m.safetensors");
    assert!(number(&place.json("rnn export m --to onnx --out m.onnx"), "bytes") > 1000.0);
    let symbols: Value = serde_json::from_str(&place.read("m/vocabulary.json")).unwrap();
    place.write("symbols.json", &symbols["symbols"].to_string());
    let imported = place.json("rnn import m.safetensors --vocabulary symbols.json --out back");
    assert_eq!(imported["model"]["cell"], "gru");
    let nats = |folder: &str| number(&place.json(&format!("rnn eval {folder} reber.txt")), "nats_per_token");
    assert!((nats("m") - nats("back")).abs() < 1e-9);
    assert!(place.refused("rnn import m.safetensors --out other").contains("--vocabulary"));
    place.write("short.json", "[\"a\"]");
    let error = place.refused("rnn import m.safetensors --vocabulary short.json --out other");
    assert!(error.contains("holds `embedding.weight` in shape"), "{error}");
}

#[test]
fn words_bytes_and_tokenizers_are_comparable_units() {
    let place = Workplace::new();
    place.json("make text -n 800 --stems 20 --out text.txt");
    place.json("tokenizer train text.txt --vocab-size 300 --out tok");
    place.json("word2vec train text.txt --dim 16 --epochs 1 --min-count 1 --out vectors");
    let shape = "--hidden 16 --layers 1 --epochs 1 --sequence-length 20 --batch-size 10";
    for (units, name) in [("bytes", "b"), ("words", "w"), ("tok", "t")] {
        let trained = place.json(&format!("rnn train text.txt --tokens {units} {shape} --out {name}"));
        let bits = number(&trained, "valid_bits_per_byte");
        assert!(bits > 0.1 && bits < 8.0, "{units}: {bits}");
        place.json(&format!("rnn generate {name} -n 20"));
    }
    place.json(&format!(
        "rnn train text.txt --tokens words --vectors vectors --tied --embedding 16 {shape} --out v"
    ));
    let embedding = place.json("info v")["model"]["embedding"].clone();
    assert_eq!(embedding, 16);
}

#[test]
fn texts_are_classified() {
    let place = Workplace::new();
    place.json("make parity -n 2500 --columns 6 --out parity.csv");
    let trained = place.json(
        "rnn train parity.csv --task classify --hidden 24 --layers 1 --epochs 20 --rate 0.02 --dropout 0 --batch-size 25 --split 0.8,0.1,0.1 --out m",
    );
    assert!(
        number(&trained, "valid_accuracy") > 0.99 && number(&trained, "test_accuracy") > 0.99,
        "{trained}"
    );
    assert!(number(&place.json("rnn eval m parity.csv"), "accuracy") > 0.99);
    place.json("rnn predict m parity.csv --out said.csv");
    assert!(place.read("said.csv").starts_with("label,probability,p_even,p_odd\n"));
    place.write("two.txt", "1 0 1\n1 1 1\n");
    let said = place.json("rnn predict m two.txt");
    assert_eq!(said["labels"], serde_json::json!(["even", "odd"]));
    place.write("strange.csv", "text,label\n1 0,odd\n1 1,neither\n");
    let error = place.refused("rnn eval m strange.csv");
    assert!(
        error.contains("text 2: the label `neither` was not seen in training, which knew even, odd"),
        "{error}"
    );
    place.write("empty.csv", "text,label\n1 0,odd\n,even\n");
    let error = place.refused("rnn eval m empty.csv");
    assert!(error.contains("text 2: the text has no words"), "{error}");
    let error = place.refused("rnn train parity.csv --task classify --label-column kind --out x");
    assert!(error.contains("there is no column `kind`; the columns are text, label"), "{error}");
}

#[test]
fn words_are_tagged() {
    let place = Workplace::new();
    place.json("make tagged -n 600 --out words.conll");
    for crf in ["", "--crf"] {
        let trained = place.json(&format!(
            "rnn train words.conll --task tag --hidden 24 --layers 1 --epochs 6 --rate 0.02 --batch-size 20 {crf} --bidirectional --out m --overwrite"
        ));
        assert!(number(&trained, "valid_accuracy") > 0.97, "{trained}");
    }
    assert!(number(&place.json("rnn eval m words.conll"), "accuracy") > 0.97);
    let said = String::from_utf8(
        Command::cargo_bin("dozen")
            .unwrap()
            .current_dir(place.0.path())
            .args(["rnn", "predict", "m", "--text", "the both3 both3 a noun1"])
            .output()
            .unwrap()
            .stdout,
    );
    assert_eq!(
        said.unwrap().lines().take(5).collect::<Vec<_>>(),
        ["the\tDET", "both3\tNOUN", "both3\tVERB", "a\tDET", "noun1\tNOUN"]
    );
    place.write("bad.conll", "the DET\nhouse\n");
    let error = place.refused("rnn train bad.conll --task tag --out x");
    assert!(error.contains("line 2: the word `house` has no label"), "{error}");
}

#[test]
fn series_are_forecast() {
    let place = Workplace::new();
    place.json("make series -n 1500 --out waves.csv");
    let trained = place.json(
        "rnn train waves.csv --task forecast --hidden 24 --layers 1 --epochs 15 --rate 0.01 --dropout 0 --batch-size 20 --out m",
    );
    let wave = &trained["valid_columns"]["wave"];
    let (error, persistence) =
        (number(wave, "root_mean_square_error"), number(wave, "persistence_root_mean_square_error"));
    // The noise is 0.1: no prediction errs less.
    assert!(error < 0.16 && error > 0.09 && persistence > 1.5 * error, "{wave}");
    place.json("rnn eval m waves.csv --from 1000");
    let next = place.json("rnn predict m waves.csv -n 24");
    assert_eq!(next["rows"].as_array().unwrap().len(), 24);
    place.json("rnn predict m waves.csv -n 5 --out next.csv");
    assert_eq!(place.read("next.csv").lines().count(), 6);
    place.write("gap.csv", "wave,double\n0.1,0.2\n,0.3\n0.2,0.1\n");
    let error = place.refused("rnn eval m gap.csv");
    assert!(error.contains("gap.csv"), "{error}");
    let error = place.refused("rnn eval m waves.csv --from 1");
    assert!(error.contains("--from must lie between 2 and the 1500 rows"), "{error}");
}

#[test]
fn requests_without_sense_are_refused_in_a_sentence() {
    let place = Workplace::new();
    place.write("short.txt", "abc");
    let error = place.refused("rnn train short.txt --out x");
    assert!(error.contains("has 3 characters, which is less than one sequence"), "{error}");
    for (line, sentence) in [
        ("rnn train short.txt --bidirectional --out x", "--bidirectional would let the model see"),
        ("rnn train short.txt --crf --out x", "--crf is for --task tag"),
        ("rnn train short.txt --tokens nowhere.json --out x", "there is no file `nowhere.json`"),
        ("rnn train short.txt --split 0,1 --out x", "--split takes two or three fractions"),
        ("rnn train short.txt --sequence-length 0 --out x", "--sequence-length must be at least 1"),
        (
            "rnn train short.txt --sequence-length 1 --split 1,0 --dropout 1 --out x",
            "--dropout must lie in [0, 1)",
        ),
        ("rnn generate nowhere", "does not exist"),
    ] {
        let error = place.refused(line);
        assert!(error.contains(sentence), "dozen {line}: {error}");
    }
}
