//! What is in a folder is safe from every spelling of its name, from other processes, and from flags; runs that were cut off
//! go on; and exit codes follow one rule.

#![cfg(unix)]

mod program;

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dozen::run::{Existing, RunFolder};
use program::{dozen, refused};

fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let rows: String =
        (0..60).map(|row| format!("{},{},{}\n", row % 2, (row / 2) % 2, (row / 3) % 2)).collect();
    std::fs::write(place.path().join("d.csv"), format!("a,b,c\n{rows}")).unwrap();
    place
}

const TRAIN: &str = "autoregressive train d.csv --hidden 4 --epochs 1 --quiet --out";

fn succeeds(folder: &Path, line: &str) {
    let output = dozen(folder, line);
    assert!(output.status.success(), "dozen {line}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_model_is_safe_from_every_spelling_of_its_folder() {
    let place = place();
    let path = place.path();
    succeeds(path, &format!("{TRAIN} runs/m"));
    let weights = std::fs::read(path.join("runs/m/model.safetensors")).unwrap();
    std::os::unix::fs::symlink("runs/m", path.join("link")).unwrap();
    for out in ["runs/m", "runs/m/", "runs//m//", "./runs/m/.", "runs/x/../m", "link", "link/"] {
        let said = refused(path, &format!("{TRAIN} {out} --seed 5"));
        assert!(
            said.contains("holds a model of the family autoregressive; --overwrite replaces it"),
            "{said}"
        );
        assert_eq!(std::fs::read(path.join("runs/m/model.safetensors")).unwrap(), weights, "{out}");
        assert_eq!(path.join("runs").read_dir().unwrap().count(), 1, "{out}");
    }
    succeeds(path, &format!("{TRAIN} link/ --seed 5 --overwrite"));
    assert!(path.join("link").is_symlink());
    assert_ne!(std::fs::read(path.join("runs/m/model.safetensors")).unwrap(), weights);
    succeeds(path, &format!("{TRAIN} new/deep/m/"));
    succeeds(path, "autoregressive eval new/deep/m d.csv");
    assert!(refused(path, &format!("{TRAIN} .")).contains("name a folder in it"));
    std::fs::write(path.join("e.csv"), "x").unwrap();
    assert!(refused(path, &format!("{TRAIN} e.csv")).contains("is a file"));
}

#[test]
fn what_dozen_did_not_write_is_never_replaced() {
    let place = place();
    let path = place.path();
    std::fs::create_dir_all(path.join("project/.git")).unwrap();
    for (file, text) in
        [("config.json", r#"{"name": "site"}"#), ("main.rs", "fn main() {}"), (".git/HEAD", "ref")]
    {
        std::fs::write(path.join("project").join(file), text).unwrap();
    }
    for flag in ["", "--overwrite"] {
        let said = refused(path, &format!("{TRAIN} project {flag}"));
        assert!(said.contains("is not empty and not a model folder of dozen"), "{said}");
    }
    succeeds(path, &format!("{TRAIN} m"));
    std::fs::write(path.join("m/notes.txt"), "mine").unwrap();
    let said = refused(path, &format!("{TRAIN} m --overwrite"));
    assert!(said.contains("also holds `notes.txt`, which dozen did not write"), "{said}");
    assert_eq!(std::fs::read(path.join("m/notes.txt")).unwrap(), b"mine");
    // Nor a neighbour that has the name of an unfinished run.
    std::fs::create_dir(path.join("other.partial")).unwrap();
    std::fs::write(path.join("other.partial/thesis.tex"), "mine").unwrap();
    assert!(refused(path, &format!("{TRAIN} other --overwrite")).contains("is no unfinished run of dozen"));
    assert!(path.join("other.partial/thesis.tex").exists());
    std::fs::write(path.join("Cargo.partial.lock"), "mine").unwrap();
    assert!(refused(path, &format!("{TRAIN} Cargo")).contains("is in the way: dozen locks a run"));
    assert_eq!(std::fs::read(path.join("Cargo.partial.lock")).unwrap(), b"mine");
    // Tokenizers and imported models are folders like all others.
    std::fs::write(path.join("text.txt"), "the cat and the hat ".repeat(40)).unwrap();
    succeeds(path, "tokenizer train text.txt --vocab-size 270 --out t");
    assert!(refused(path, "tokenizer train text.txt --vocab-size 280 --out t/").contains("family tokenizer"));
    succeeds(path, "tokenizer train text.txt --vocab-size 280 --out t --overwrite");
    succeeds(path, "info t");
}

#[test]
fn one_process_writes_a_folder() {
    let place = place();
    let path = place.path();
    let run = RunFolder::begin(&path.join("m"), Existing::Keep).unwrap();
    for command in [
        format!("{TRAIN} m/"),
        "autoregressive train --resume m".to_owned(),
        format!("{TRAIN} m --overwrite"),
    ] {
        let said = refused(path, &command);
        assert!(said.contains(&format!("is being written by process {}", std::process::id())), "{said}");
    }
    drop(run);
    assert!(!path.join("m.partial.lock").exists() && !path.join("m.partial").exists());
    succeeds(path, &format!("{TRAIN} m"));
    // A lock that a kill left binds nobody.
    std::fs::write(path.join("n.partial.lock"), "process 1\n").unwrap();
    succeeds(path, &format!("{TRAIN} n"));
    assert!(!path.join("n.partial.lock").exists());
}

#[test]
fn a_refused_run_leaves_nothing() {
    let place = place();
    let path = place.path();
    refused(path, "autoregressive train nowhere.csv --out m");
    refused(path, "autoregressive train d.csv --out m --hidden 0");
    assert_eq!(path.read_dir().unwrap().count(), 1);
}

/// A training run that ends by a signal only.
fn long_run(path: &Path, shell: &str) -> Child {
    let program = assert_cmd::cargo::cargo_bin("dozen");
    let line = format!(
        "{shell} {} autoregressive train d.csv --out m --hidden 4 --epochs 1000000 --patience 0 --checkpoint-every 0.05 --quiet",
        program.display()
    );
    let child = Command::new("sh")
        .args(["-c", &format!("exec {line}")])
        .current_dir(path)
        .stderr(Stdio::piped())
        .spawn();
    let child = child.unwrap();
    let begun = Instant::now();
    while !path.join("m.partial/checkpoints/last/state.json").exists() {
        assert!(begun.elapsed() < Duration::from_mins(1), "no checkpoint");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn signals_save_the_run_and_it_goes_on_with_its_own_flags() {
    for name in ["-TERM", "-INT", "-HUP"] {
        let place = place();
        let path = place.path();
        let child = long_run(path, "");
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{name}: {said}");
        assert!(said.contains("go on with --resume m"), "{name}: {said}");
        assert!(
            path.join("m.partial/checkpoints/last/state.json").exists()
                && !path.join("m.partial.lock").exists()
        );
        let said = refused(path, &format!("{TRAIN} m"));
        assert!(
            said.contains("holds an unfinished run; go on with --resume m, or begin anew with --overwrite"),
            "{said}"
        );
        let said =
            refused(path, "autoregressive train d.csv --resume m --epochs 3 --hidden 4 --batch-size 7");
        assert!(said.contains("these differ: --epochs, --batch-size;"), "{said}");
        std::fs::write(path.join("m.partial/notes.txt"), "mine").unwrap();
        let said = refused(path, &format!("{TRAIN} m --overwrite"));
        assert!(said.contains("also holds `notes.txt`, which dozen did not write"), "{said}");
        assert!(refused(path, "flow train --resume m").contains("begun by `dozen autoregressive train`"));
        let others = format!("a,b,c\n{}", "0,1,1\n1,0,1\n".repeat(30));
        std::fs::write(path.join("d.csv"), others).unwrap();
        assert!(refused(path, "autoregressive train --resume m").contains("`d.csv` is not what it was"));
    }
}

#[test]
fn a_signal_leaves_nothing_of_an_output_that_is_not_whole() {
    let place = place();
    let path = place.path();
    succeeds(path, &format!("{TRAIN} m"));
    assert!(Command::new("mkfifo").arg(path.join("rows.csv")).status().unwrap().success());
    std::fs::write(path.join("s.csv"), "precious").unwrap();
    let child = Command::new(assert_cmd::cargo::cargo_bin("dozen"))
        .args(["autoregressive", "score", "m", "rows.csv", "--out", "s.csv"])
        .current_dir(path)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Open until the end, so that there may always be another row.
    let mut rows = std::fs::OpenOptions::new().write(true).open(path.join("rows.csv")).unwrap();
    rows.write_all(&std::fs::read(path.join("d.csv")).unwrap()).unwrap();
    let hidden = || {
        let names = path.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with('.')).count()
    };
    let begun = Instant::now();
    while hidden() == 0 {
        assert!(begun.elapsed() < Duration::from_mins(1), "nothing is written");
        std::thread::sleep(Duration::from_millis(20));
    }
    signal(&child, "-TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(hidden(), 0);
    assert_eq!(std::fs::read(path.join("s.csv")).unwrap(), b"precious");
}

#[test]
fn what_a_process_was_started_to_ignore_it_ignores() {
    let place = place();
    let mut child = long_run(place.path(), "nohup");
    signal(&child, "-HUP");
    std::thread::sleep(Duration::from_millis(400));
    assert!(child.try_wait().unwrap().is_none());
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_run_is_resumed_from_anywhere() {
    let place = place();
    let path = place.path();
    let mut child = long_run(path, "");
    signal(&child, "-KILL");
    child.wait().unwrap();
    let state = path.join("m.partial/checkpoints/last/state.json");
    let changed = || state.metadata().and_then(|file| file.modified()).ok();
    let before = changed();
    // The million epochs of that run are nothing for a test: it is interrupted again.
    let elsewhere = tempfile::tempdir().unwrap();
    let resumed = Command::new(assert_cmd::cargo::cargo_bin("dozen"))
        .args(["autoregressive", "train", "--resume", path.join("m/").to_str().unwrap()])
        .current_dir(elsewhere.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // When it has written another checkpoint, it heeds signals.
    let begun = Instant::now();
    while changed().is_none() || changed() == before {
        assert!(begun.elapsed() < Duration::from_mins(1), "no checkpoint");
        std::thread::sleep(Duration::from_millis(20));
    }
    signal(&resumed, "-TERM");
    let output = resumed.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(
        said.contains("where the run was begun") && said.contains("going on from the checkpoint in"),
        "{said}"
    );
}

/// The exit code of a command of the shell.
fn shell(path: &Path, line: &str) -> Option<i32> {
    let line = line.replace("dozen", assert_cmd::cargo::cargo_bin("dozen").to_str().unwrap());
    Command::new("bash").args(["-c", &line]).current_dir(path).stderr(Stdio::null()).status().unwrap().code()
}

#[test]
fn what_is_read_is_not_written_over() {
    let place = place();
    let path = place.path();
    succeeds(path, &format!("{TRAIN} m"));
    let data = std::fs::read(path.join("d.csv")).unwrap();
    std::os::unix::fs::symlink("d.csv", path.join("link.csv")).unwrap();
    for out in ["d.csv", "./d.csv", "link.csv"] {
        let said = refused(path, &format!("autoregressive score m d.csv --out {out}"));
        assert!(said.contains("is an input and the --out as well"), "{said}");
        assert_eq!(std::fs::read(path.join("d.csv")).unwrap(), data);
    }
    // A file that is called as a flag is no input by that.
    succeeds(path, "make text -n 5 --out out");
    succeeds(path, "make text -n 5 --out out");
    // Standard output by its name keeps what stands in it.
    let line =
        "{ echo first; dozen autoregressive sample m -n 2 --out /dev/stdout --quiet; echo last; } > all.txt";
    assert_eq!(shell(path, line), Some(0));
    let all = std::fs::read_to_string(path.join("all.txt")).unwrap();
    assert!(all.starts_with("first\n") && all.ends_with("last\n"), "{all}");
}

#[test]
fn exit_codes_follow_one_rule() {
    let place = place();
    let path = place.path();
    succeeds(path, &format!("{TRAIN} m"));
    for (line, code) in [
        ("dozen autoregressive sample m -n 5 > /dev/null", 0),
        ("dozen autoregressive sample m -n 5 > /dev/full", 1),
        ("dozen autoregressive sample m -n 5 --json > /dev/full", 1),
        ("dozen --help > /dev/full", 1),
        ("dozen completions bash > /dev/full", 1),
        ("dozen autoregressive sample m -n 5 --out /dev/full", 2),
        ("set -o pipefail; dozen autoregressive sample m -n 50000 | head -n 1", 0),
        ("dozen autoregressive sample m -n 5 --out nowhere/s.csv", 2),
        ("dozen autoregressive score m nowhere.csv", 2),
        ("dozen nonsense", 2),
        ("dozen autoregressive sample m -n 5 2>&-", 0),
        ("dozen compare d.csv d.csv --fail-below-p 2", 1),
    ] {
        let code = if line.contains("--out /dev/full") { [Some(1), Some(2)] } else { [Some(code); 2] };
        assert!(code.contains(&shell(path, line)), "{line}: {:?}", shell(path, line));
    }
    for line in
        ["autoregressive score m nowhere.csv --json", "nonsense --json", "autoregressive train --json"]
    {
        let output = dozen(path, line);
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["code"], 2, "{line}");
        assert!(told["error"].as_str().is_some_and(|error| !error.is_empty()), "{line}");
    }
}

#[test]
fn tables_are_quoted_on_standard_output_as_in_files() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    let rows: String =
        (0..80).map(|row| format!("\"{}\",{}\n", ["a, b", "say \"\"so\"\""][row % 2], row % 2)).collect();
    std::fs::write(path.join("t.csv"), format!("\"words, two\",bit\n{rows}")).unwrap();
    succeeds(path, "autoregressive train t.csv --hidden 4 --epochs 1 --quiet --out m");
    let printed = dozen(path, "autoregressive sample m -n 20 --quiet").stdout;
    succeeds(path, "autoregressive sample m -n 20 --quiet --out s.csv");
    assert_eq!(String::from_utf8(printed).unwrap(), std::fs::read_to_string(path.join("s.csv")).unwrap());
}
