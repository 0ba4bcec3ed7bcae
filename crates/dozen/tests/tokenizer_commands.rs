//! `dozen tokenizer` as a user runs it.

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

const TEXT: &str =
    "The cat sat on the mat; the cat's hat sat on the cat.\nNew lines, 1234 numbers and caf\u{e9}s.\n";

#[test]
fn texts_of_every_kind_train_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let write = |name: &str, text: String| std::fs::write(path.join(name), text).unwrap();
    let lines: Vec<String> =
        (0..40).map(|i| TEXT.replace("cat", ["cat", "rat", "bat"][i % 3]).replace('\n', " ")).collect();
    write("t.jsonl", lines.iter().map(|line| format!("{}\n", serde_json::json!({ "text": line }))).collect());
    let quoted = |line: &String| format!("\"{}\"\n", line.replace('"', "\"\""));
    write("t.csv", format!("text\n{}", lines.iter().map(quoted).collect::<String>()));
    std::fs::create_dir_all(path.join("texts/more")).unwrap();
    for (place, line) in lines.iter().enumerate() {
        write(&format!("texts/{}{place:02}.txt", if place < 20 { "" } else { "more/" }), line.clone());
    }
    let mut tokenizers = Vec::new();
    for (name, input) in [("a", "t.jsonl"), ("b", "t.csv"), ("c", "texts")] {
        let run =
            json(path, &format!("tokenizer train {input} --vocab-size 300 --out {name} --special <|end|>"));
        assert_eq!((&run["vocab_size"], &run["merges"]), (&300.into(), &43.into()));
        tokenizers.push(std::fs::read(path.join(name).join("tokenizer.json")).unwrap());
        assert!(path.join(name).join("report.html").exists());
    }
    assert!(tokenizers.iter().all(|tokenizer| *tokenizer == tokenizers[0]));
    // In parts, with an inventory between.
    json(path, "tokenizer inventory t.csv --out counts.txt");
    json(path, "tokenizer train --inventory counts.txt --vocab-size 300 --out d --special <|end|>");
    assert_eq!(std::fs::read(path.join("d/tokenizer.json")).unwrap(), tokenizers[0]);
    for rule in ["bytes", "first-seen"] {
        json(path, &format!("tokenizer train t.csv --vocab-size 290 --tie-break {rule} --out e --overwrite"));
    }
    let info = json(path, "tokenizer info a");
    assert_eq!(
        (&info["vocab_size"], &info["unreachable_count"], &info["pattern"]),
        (&300.into(), &0.into(), &"cl100k".into())
    );
}

#[test]
fn ids_there_and_back_and_through_formats() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("t.txt"), TEXT.repeat(30)).unwrap();
    json(path, "tokenizer train t.txt --vocab-size 320 --pattern gpt2 --out tok");
    let encoded = json(path, "tokenizer encode -t tok t.txt --out ids.npy");
    assert_eq!(encoded["bytes"], TEXT.len() as u64 * 30);
    json(path, "tokenizer decode -t tok ids.npy --out back.txt");
    assert_eq!(std::fs::read_to_string(path.join("back.txt")).unwrap(), TEXT.repeat(30));
    let counted = json(path, "tokenizer count -t tok t.txt back.txt");
    assert_eq!(counted["tokens"].as_u64().unwrap(), 2 * encoded["tokens"].as_u64().unwrap());
    // Ids as text.
    std::fs::write(path.join("short.txt"), "the cat").unwrap();
    let ids = dozen(path, "tokenizer encode -t tok short.txt").stdout;
    std::fs::write(path.join("ids.txt"), &ids).unwrap();
    assert_eq!(dozen(path, "tokenizer decode -t tok ids.txt").stdout, b"the cat");
    let shown = String::from_utf8(dozen(path, "tokenizer encode -t tok --text short.txt").stdout).unwrap();
    assert!(shown.lines().all(|line| line.len() > 16) && shown.contains(" cat"), "{shown}");
    for (to, out, open) in [
        ("tokenizer.json", "a.json", "a.json"),
        ("tiktoken", "a.tiktoken", "a.tiktoken"),
        ("merges", "m", "m"),
    ] {
        json(path, &format!("tokenizer convert tok --to {to} --out {out}"));
        let run = json(path, &format!("tokenizer verify tok {open} t.txt --pattern gpt2"));
        assert_eq!((&run["identical"], &run["tokens"]), (&true.into(), &encoded["tokens"]));
    }
    // Another pattern and other merges are told apart.
    let output = dozen(path, "tokenizer verify tok tok2 t.txt --json");
    assert_eq!(output.status.code(), Some(2));
    json(path, "tokenizer train short.txt t.txt --vocab-size 270 --pattern gpt2 --out tok2");
    let output = dozen(path, "tokenizer verify tok tok2 t.txt --json");
    assert_eq!(output.status.code(), Some(1));
    let difference: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(difference["difference"]["why"], "their merges differ");
}

#[test]
fn mistakes_are_sentences() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let write = |name: &str, bytes: &[u8]| std::fs::write(path.join(name), bytes).unwrap();
    write("t.txt", TEXT.as_bytes());
    write("empty.txt", b"");
    write("latin.txt", b"line\ncaf\xe9");
    write("end.txt", b"a<|end|>");
    write("bad.jsonl", b"{\"text\":\"a\"}\n{\"words\":\"b\"}\n");
    write("ids.txt", b"1 2 9999");
    json(path, "tokenizer train t.txt --vocab-size 270 --special <|end|> --out tok");
    let say = |line: &str| error(path, line, 2);
    assert_eq!(say("tokenizer train empty.txt --out x"), "error: there is no text to learn from");
    assert_eq!(
        say("tokenizer train bad.jsonl --out x"),
        "error: bad.jsonl, line 2: there is no text in the field `text`; name another with --field"
    );
    assert_eq!(
        say("tokenizer encode -t tok latin.txt"),
        "error: latin.txt, line 2: byte 8 is not UTF-8; convert the file, or encode it with --bytes"
    );
    assert!(json(path, "tokenizer encode -t tok latin.txt --bytes")["tokens"].as_u64().unwrap() > 0);
    assert!(say("tokenizer encode -t tok end.txt").contains("special token `<|end|>` at byte 1"));
    assert_eq!(json(path, "tokenizer encode -t tok end.txt --special allow")["tokens"], 2);
    assert!(json(path, "tokenizer encode -t tok end.txt --special text")["tokens"].as_u64().unwrap() > 2);
    assert_eq!(
        say("tokenizer decode -t tok ids.txt"),
        "error: id 9999 at place 2 is no token; ids are below 268"
    );
    assert!(say("tokenizer encode -t nothing t.txt").starts_with("error: cannot read `nothing`: "));
    assert!(say("tokenizer train t.txt --pattern cl200k --out x").contains("there is no pattern `cl200k`"));
    assert_eq!(json(path, "tokenizer encode -t tok empty.txt")["tokens"], 0);
}
