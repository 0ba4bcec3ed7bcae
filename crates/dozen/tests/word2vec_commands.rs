//! `dozen word2vec` as a user runs it.

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;

fn dozen(folder: &Path, line: &str) -> Output {
    Command::cargo_bin("dozen").unwrap().current_dir(folder).args(line.split_whitespace()).output().unwrap()
}

fn json(folder: &Path, line: &str) -> Value {
    let output = dozen(folder, &format!("{line} --json --quiet"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn error(folder: &Path, line: &str, code: i32) -> String {
    let output = dozen(folder, &format!("{line} --quiet"));
    assert_eq!(output.status.code(), Some(code), "{line}");
    String::from_utf8(output.stderr).unwrap().trim_end().to_owned()
}

/// A folder with a made language and vectors of it.
fn trained() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    json(folder.path(), "make text -n 20000 --stems 24 --out c.txt");
    let run = json(
        folder.path(),
        "word2vec train c.txt --dim 24 --epochs 3 --subsampling none --shared-negatives --deterministic --out vec",
    );
    assert_eq!(run["words"], 140_000);
    assert!(run["words_per_second"].as_f64().unwrap() > 1000.0);
    folder
}

#[test]
fn planted_analogies_and_likenesses_come_back() {
    let folder = trained();
    let path = folder.path();
    for file in ["config.json", "model.safetensors", "vocabulary.txt", "metrics.jsonl", "report.html"] {
        assert!(path.join("vec").join(file).exists(), "{file}");
    }
    assert!(!path.join("vec/checkpoints").exists());
    let eval = json(path, "word2vec eval vec --similarity c.similarity.txt --analogies c.analogies.txt");
    assert!(eval["analogies"]["all"]["accuracy"].as_f64().unwrap() > 0.7, "{eval}");
    assert!(eval["similarity"][0]["spearman"].as_f64().unwrap() > 0.5, "{eval}");
    let question = std::fs::read_to_string(path.join("c.analogies.txt")).unwrap();
    let words: Vec<&str> = question.lines().nth(1).unwrap().split(' ').collect();
    let found = json(path, &format!("word2vec analogy vec {} {} {} -n 3", words[0], words[1], words[2]));
    assert_eq!(found["nearest"].as_array().unwrap().len(), 3);
    let near = json(path, &format!("word2vec nearest vec {} -n 4", words[0]));
    assert_eq!(near["nearest"].as_array().unwrap().len(), 4);
    let kin = json(path, &format!("word2vec similarity vec {} {}", words[0], words[1]));
    assert!(kin["cosine"].as_f64().unwrap() > 0.2);
    let odd = json(path, &format!("word2vec doesnt-match vec {} {} {}", words[0], words[1], words[2]));
    assert_eq!(odd["word"], words[2]);
}

#[test]
fn every_format_gives_the_vectors_back() {
    let folder = trained();
    let path = folder.path();
    let line = std::fs::read_to_string(path.join("vec/vocabulary.txt")).unwrap();
    let word = line.split(' ').next().unwrap().to_owned();
    let near =
        |vectors: &str| json(path, &format!("word2vec nearest {vectors} {word} -n 5"))["nearest"].clone();
    let expected = near("vec");
    for (format, file) in [
        ("word2vec-bin", "v.bin"),
        ("gensim-text", "v.txt"),
        ("gensim-text", "v.txt.gz"),
        ("gensim-bin", "g.bin"),
        ("fasttext-vec", "v.vec"),
        ("glove", "g.txt"),
        ("npy", "v.npy"),
        ("parquet", "v.parquet"),
        ("safetensors", "v.safetensors"),
    ] {
        json(path, &format!("word2vec convert vec --to {format} --out {file}"));
        assert_eq!(near(file), expected, "{format}");
    }
    json(path, "word2vec convert vec --to word2vec-text --out c6.txt");
    assert_eq!(near("c6.txt")[0]["word"], expected[0]["word"]);
    json(path, "word2vec convert v.parquet --to word2vec-bin --out again.bin");
    assert_eq!(std::fs::read(path.join("again.bin")).unwrap(), std::fs::read(path.join("v.bin")).unwrap());
    std::fs::remove_file(path.join("v.words.txt")).unwrap();
    assert!(error(path, "word2vec nearest v.npy x", 2).contains("its words should be in v.words.txt"));
}

#[test]
fn threads_change_nothing_and_new_texts_are_learnt_on_top() {
    let folder = trained();
    let path = folder.path();
    let train = |out: &str, threads: usize| {
        json(
            path,
            &format!(
                "word2vec train c.txt --dim 10 --epochs 1 --deterministic --threads {threads} --out {out}"
            ),
        );
        std::fs::read(path.join(out).join("model.safetensors")).unwrap()
    };
    assert!(train("one", 1) == train("two", 2));
    std::fs::write(path.join("new.txt"), "brandnew words brandnew words\n".repeat(10)).unwrap();
    let more = json(path, "word2vec train new.txt --from one --epochs 1 --out more");
    let before = std::fs::read_to_string(path.join("one/vocabulary.txt")).unwrap().lines().count() as u64;
    assert_eq!(more["vocabulary"], before + 2);
    let info = json(path, "info more");
    assert_eq!(info["model"]["dim"], 10);
    let parts = "word2vec train c.txt --dim 8 --epochs 1 --subwords 3-5 --buckets 5000 --out parts";
    json(path, parts);
    json(path, "word2vec nearest parts neverseenword -n 2");
}

#[test]
fn texts_become_vectors_pictures_and_tables_of_neighbours() {
    let folder = trained();
    let path = folder.path();
    let head: Vec<String> = std::fs::read_to_string(path.join("c.txt"))
        .unwrap()
        .lines()
        .take(30)
        .map(str::to_owned)
        .chain(["unknown words only".to_owned()])
        .collect();
    std::fs::write(path.join("few.txt"), head.join("\n")).unwrap();
    let embedded = json(path, "word2vec embed vec few.txt --pooling sif --out few.csv");
    assert_eq!((&embedded["texts"], &embedded["texts_without_known_words"]), (&31.into(), &1.into()));
    assert_eq!(std::fs::read_to_string(path.join("few.csv")).unwrap().lines().count(), 32);
    for method in ["pca", "tsne"] {
        json(path, &format!("word2vec project vec --method {method} -n 60 --out {method}"));
        let again = json(path, &format!("word2vec project vec --method {method} -n 60 --out again"));
        assert_eq!(again["words"], 60);
        let table = |folder: &str| std::fs::read_to_string(path.join(folder).join("projection.csv")).unwrap();
        assert_eq!(table(method), table("again"), "{method}");
    }
    json(path, "word2vec neighbours vec -n 5 --out exact.csv");
    let near = json(path, "word2vec neighbours vec -n 5 --approximate --out near.csv");
    assert!(near["recall"].as_f64().unwrap() > 0.9, "{near}");
    let lines = |file: &str| std::fs::read_to_string(path.join(file)).unwrap().lines().count();
    assert_eq!(lines("exact.csv"), lines("near.csv"));
}

#[test]
fn words_are_cut_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("t.txt"), "Don't stop, \"Mr. Ødegård\"! don't STOP\n".repeat(6)).unwrap();
    let vocabulary = |flags: &str| {
        json(path, &format!("word2vec train t.txt --dim 4 --epochs 1 --out v --overwrite {flags}"));
        std::fs::read_to_string(path.join("v/vocabulary.txt")).unwrap()
    };
    assert_eq!(vocabulary("--lowercase --letters"), "don't 12\nstop 12\nmr 6\nødegård 6\n");
    assert!(vocabulary("").contains("stop, 6\n\"Mr. 6\n"));
    json(path, "tokenizer train t.txt --vocab-size 280 --out tok");
    let tokens = vocabulary("--tokenizer tok");
    json(path, "tokenizer encode --tokenizer tok t.txt --out ids.npy");
    json(path, "word2vec train ids.npy --tokenizer tok --dim 4 --epochs 1 --min-count 1 --out w");
    assert!(tokens.contains("▁stop") || tokens.contains("▁don"), "{tokens}");
    assert!(std::fs::read_to_string(path.join("w/vocabulary.txt")).unwrap().contains("\\n"));
}

#[test]
fn phrases_are_joined() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let text =
        "we flew to new york today\nyork is old but new york is not\nthe new day is the best\n".repeat(5);
    std::fs::write(path.join("t.txt"), text).unwrap();
    let found = json(path, "word2vec phrases t.txt --threshold 0.5 --score npmi --min-count 5 --out p.txt");
    assert!(std::fs::read_to_string(path.join("p.txt")).unwrap().contains("new_york"));
    assert!(found["words"].as_u64().unwrap() < found["words_read"].as_u64().unwrap());
}

#[test]
fn mistakes_are_answered_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("t.txt"), "one two three").unwrap();
    std::fs::write(path.join("bad.txt"), "2 2\na 1 2\nb 1\n").unwrap();
    std::fs::write(path.join("v.txt"), "2 2\nking 1 2\nqueen 1 1\n").unwrap();
    assert_eq!(
        error(path, "word2vec train t.txt --out v", 2),
        "error: none of the 3 different words occurs 5 times; give more text or a lower --min-count"
    );
    assert_eq!(
        error(path, "word2vec nearest bad.txt a", 2),
        "error: bad.txt: line 3 is not a word and 2 numbers"
    );
    assert_eq!(
        error(path, "word2vec nearest v.txt kingg", 2),
        "error: the word `kingg` is not among the 2 words of the vocabulary; did you mean king?"
    );
    assert!(error(path, "word2vec embed v.txt t.txt --pooling sif --out e.csv", 2).contains("does not say"));
    assert!(
        error(path, "word2vec train t.txt --out v --dim 0 --min-count 1", 2)
            .contains("dim must be at least 1")
    );
    assert!(error(path, "word2vec train --out v", 2).contains("name files or folders of text"));
    assert!(error(path, "word2vec nearest nothere x", 2).contains("does not exist"));
}
