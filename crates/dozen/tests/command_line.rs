//! The program itself: its JSON, its files, its refusals and its exit codes.

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

fn dozen(folder: &Path, line: &str) -> Command {
    let mut command = Command::cargo_bin("dozen").unwrap();
    command.current_dir(folder).args(line.split_whitespace()).args(["--quiet"]);
    command
}

fn json(folder: &Path, line: &str) -> Value {
    let output = dozen(folder, line).arg("--json").output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{line}: one object and nothing else");
    serde_json::from_str(&text).unwrap()
}

/// The exit code and the message of a command that must fail.
fn refusal(folder: &Path, line: &str) -> (i32, String) {
    let output = dozen(folder, line).output().unwrap();
    assert!(output.stdout.is_empty(), "{line}: nothing on standard output");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

const QUICK: &str = "--hidden 16 --epochs 4 --dropout 0";

/// A folder with made bits and a model of them.
fn with_model() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    json(folder.path(), "make binary-tree --rows 600 --columns 8 --out bits.csv");
    json(folder.path(), &format!("autoregressive train bits.csv --out m {QUICK}"));
    folder
}

#[test]
fn the_promised_keys_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let made = json(at, "make binary-tree --rows 500 --columns 8 --out bits.csv");
    assert!(made["entropy_nats_per_row"].as_f64().unwrap() > 3.0);
    json(at, "make binary-tree --rows 300 --columns 8 --seed 1 --out test.parquet");
    let trained =
        json(at, &format!("autoregressive train bits.csv --valid test.parquet --model made --out m {QUICK}"));
    assert_eq!(trained["family"], "autoregressive");
    assert_eq!(trained["model"], "made");
    for key in ["parameters", "epochs", "valid_log_prob_nats_per_row", "seconds"] {
        assert!(trained[key].is_number(), "{key}");
    }
    let evaluated = json(at, "autoregressive eval m test.parquet");
    assert_eq!(evaluated["rows"], 300);
    for key in ["log_prob_nats_per_row", "standard_error", "seconds"] {
        assert!(evaluated[key].is_number(), "{key}");
    }
    assert!(evaluated["baselines"]["independent"].as_f64() < evaluated["baselines"]["chow_liu"].as_f64());
    let difference = evaluated["log_prob_nats_per_row"].as_f64().unwrap()
        - trained["valid_log_prob_nats_per_row"].as_f64().unwrap();
    assert!(difference.abs() < 1e-6);
    let scored = json(at, "autoregressive score m test.parquet --out scores.csv");
    assert_eq!(scored["rows"], 300);
    let scores = std::fs::read_to_string(at.join("scores.csv")).unwrap();
    let first: Vec<&str> = scores.lines().nth(1).unwrap().split(',').collect();
    assert!(first[0].parse::<f64>().unwrap() < 0.0 && first[1].starts_with("bit_"));
    let mean =
        scores.lines().skip(1).map(|l| l.split(',').next().unwrap().parse::<f64>().unwrap()).sum::<f64>()
            / 300.0;
    assert!((mean - evaluated["log_prob_nats_per_row"].as_f64().unwrap()).abs() < 1e-4);
    assert_eq!(json(at, "autoregressive sample m -n 50 --out s.npy")["rows"], 50);
    assert_eq!(json(at, "autoregressive sample m -n 2")["values"].as_array().unwrap().len(), 2);
    let p = json(at, "autoregressive probability m --of bit_0=1");
    assert!((0.4..0.8).contains(&p["probability"].as_f64().unwrap()), "{p}");
    let info = json(at, "info m");
    assert_eq!(info["family"], "autoregressive");
    assert_eq!(info["data"][0]["sha256"].as_str().unwrap().len(), 64);
    for file in ["config.json", "model.safetensors", "metrics.jsonl", "report.html"] {
        assert!(at.join("m").join(file).exists(), "{file}");
    }
    assert!(!at.join("m.partial").exists());
}

#[test]
fn every_model_trains_on_every_kind_of_column() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    json(at, "make two-moons --rows 300 --out moons.csv");
    json(at, "make binary-tree --rows 300 --columns 6 --out bits.csv");
    for model in
        ["fvsbn", "mlp", "nade", "made", "eonade", "made --orders 3", "made --members 2 --order random"]
    {
        for data in ["moons.csv", "bits.csv"] {
            let hidden = if model == "fvsbn" { "" } else { "--hidden 8" };
            let line = format!(
                "autoregressive train {data} --model {model} {hidden} --mixtures 3 --epochs 2 --out m --overwrite"
            );
            json(at, &line);
            json(at, &format!("autoregressive eval m {data}"));
            let drawn = json(at, "autoregressive sample m -n 5");
            assert_eq!(drawn["values"].as_array().unwrap().len(), 5, "{line}");
        }
    }
    let label = json(at, "autoregressive train moons.csv --hidden 8 --epochs 2 --out m --overwrite");
    assert!(label["parameters"].as_u64().unwrap() > 0);
    let drawn = json(at, "autoregressive sample m -n 20 --given label=part_1");
    assert!(drawn["values"].as_array().unwrap().iter().all(|row| row[2] == "part_1"));
}

#[test]
fn results_depend_on_the_seed_alone() {
    let folder = with_model();
    let at = folder.path();
    let sample = |line: &str| json(at, line)["values"].clone();
    let one = sample("autoregressive sample m -n 20 --seed 4 --threads 1");
    assert_eq!(one, sample("autoregressive sample m -n 20 --seed 4 --threads 2"));
    assert_ne!(one, sample("autoregressive sample m -n 20 --seed 5"));
    json(at, &format!("autoregressive train bits.csv --out again {QUICK} --threads 1"));
    let weights = |model: &str| std::fs::read(at.join(model).join("model.safetensors")).unwrap();
    assert_eq!(weights("m"), weights("again"));
}

#[test]
fn flags_come_from_a_file_and_the_command_line_wins() {
    let folder = with_model();
    let at = folder.path();
    std::fs::write(at.join("c.toml"), "hidden = [5, 4]\nepochs = 2\nno_direct = true\ntensorboard = false\n")
        .unwrap();
    json(at, "autoregressive train bits.csv --out a --config c.toml");
    let info = json(at, "info a");
    assert_eq!(info["model"]["hidden"], serde_json::json!([5, 4]));
    assert_eq!(info["model"]["direct"], false);
    json(at, "autoregressive train bits.csv --out b --hidden 7 --config c.toml");
    assert_eq!(json(at, "info b")["model"]["hidden"], serde_json::json!([7]));
    std::fs::write(at.join("bad.toml"), "hiden = 3\n").unwrap();
    let (code, message) = refusal(at, "autoregressive train bits.csv --out c --config bad.toml");
    assert!(code == 2 && message.contains("--hiden"), "{message}");
    let (code, message) = refusal(at, "autoregressive train bits.csv --out c --config none.toml");
    assert!(code == 2 && message.contains("cannot read the configuration `none.toml`"), "{message}");
}

#[test]
fn wrong_requests_end_with_2_and_a_sentence() {
    let folder = with_model();
    let at = folder.path();
    let write = |name: &str, text: &str| std::fs::write(at.join(name), text).unwrap();
    write("ragged.csv", "a,b\n1,2\n3\n");
    write("nan.csv", "a,b\n1.5,2\nnan,1\n");
    write("constant.csv", &format!("a,b\n{}", "5,2\n5,1\n".repeat(20)));
    write("empty.csv", "");
    write("header.csv", "a,b\n");
    write("other.csv", "x,y\n1,0\n0,1\n");
    write("twos.csv", "bit_0,bit_1,bit_2,bit_3,bit_4,bit_5,bit_6,bit_7\n2,0,0,0,0,0,0,0\n");
    let train = |rest: &str| format!("autoregressive train {rest}");
    let cases = [
        (train("ragged.csv --out x"), "`ragged.csv`, line 3: this row has 1 cells where the first row has 2"),
        (train("nan.csv --out x"), "`nan.csv`, line 3, column `a`: `nan` is not a finite number"),
        (train("constant.csv --out x"), "column `a`: every row has the same value"),
        (train("empty.csv --out x"), "`empty.csv`: the file is empty"),
        (train("header.csv --out x"), "`header.csv`: there are no rows"),
        (train("missing.csv --out x"), "cannot open `missing.csv`"),
        (train("bits.csv"), "--out <DIR>"),
        (train("bits.csv --out bits.csv"), "is an input and the --out as well"),
        (train("bits.csv --out x --split 0.5,-1"), "fractions of a split must be positive"),
        (train("bits.csv --out x --split 0.5"), "two or three fractions"),
        (train("bits.csv --out x --hidden 0"), "at least one unit"),
        (train("bits.csv --out x --model nade --hidden 3,3"), "exactly one hidden layer"),
        (train("bits.csv --out x --model nade --orders 3"), "only made and eonade"),
        (train("bits.csv --out x --dropout 1"), "--dropout must lie in [0, 1)"),
        (train("bits.csv --out x --rate=-1"), "--rate must be a positive number"),
        (train("bits.csv --out x --epochs 0"), "must be at least 1"),
        (train("bits.csv --out x --device moon"), "there is no device `moon`"),
        (train("bits.csv --out x --categorical nope"), "there is no column `nope`"),
        (train("--resume m"), "holds a finished model"),
        (train("--resume nothing"), "nothing to resume"),
        ("autoregressive eval nothing bits.csv".into(), "`nothing` does not exist"),
        ("autoregressive eval m other.csv".into(), "the table has 2 columns, the model was trained on 8"),
        ("autoregressive eval m twos.csv".into(), "row 1, column `bit_0`: `2` is neither 0 nor 1"),
        ("autoregressive score m bits.csv --out s.xyz".into(), "end it in .csv, .tsv, .parquet or .npy"),
        ("autoregressive sample m --given bit_9=1".into(), "no column `bit_9`"),
        ("autoregressive sample m --given bit_1=7".into(), "neither 0 nor 1"),
        ("autoregressive sample m --given bit_1".into(), "not of the form COLUMN=VALUE"),
        ("autoregressive sample m -n 0".into(), "-n must be at least 1"),
        ("make rings --out r.csv --rows 0".into(), "must be at least 1"),
        ("info bits.csv".into(), "is no model folder"),
        ("fly".into(), "unrecognized subcommand"),
    ];
    for (line, expected) in cases {
        let (code, message) = refusal(at, &line);
        assert!(message.contains(expected), "{line}\n{message}");
        assert_eq!(code, 2, "{line}\n{message}");
        assert!(!message.contains("panicked"), "{line}\n{message}");
    }
    assert!(!at.join("x").exists());
}

#[test]
fn a_model_of_another_sort_or_broken_is_refused() {
    let folder = with_model();
    let at = folder.path();
    let config = at.join("m/config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("\"autoregressive\"", "\"flow\"")).unwrap();
    let (code, message) = refusal(at, "autoregressive eval m bits.csv");
    assert!(code == 2 && message.contains("of the family flow, not autoregressive"), "{message}");
    std::fs::write(&config, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    assert!(refusal(at, "autoregressive eval m bits.csv").1.contains("was written in format 2"));
    std::fs::write(&config, &text).unwrap();
    let weights = at.join("m/model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    assert!(refusal(at, "autoregressive eval m bits.csv").1.contains("not a whole safetensors file"));
    std::fs::remove_file(&weights).unwrap();
    assert!(refusal(at, "autoregressive eval m bits.csv").1.contains("has no model.safetensors"));
}

#[test]
fn an_interrupted_run_resumes_to_the_same_model() {
    let folder = with_model();
    let at = folder.path();
    let flags = "autoregressive train bits.csv --hidden 64 --epochs 30 --patience 0 --batch-size 10";
    json(at, &format!("{flags} --out whole"));
    // In the middle of an epoch or at its end, as the changes to the disk fall.
    let output = dozen(at, &format!("{flags} --out parts --quiet"))
        .env("DOZEN_FAULT", "interrupt:25")
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{message}");
    assert!(message.contains("go on with --resume parts"), "{message}");
    assert!(!at.join("parts").exists());
    assert!(refusal(at, &format!("{flags} --out parts")).1.contains("holds an unfinished run"));
    assert!(refusal(at, "autoregressive eval parts bits.csv").1.contains("an unfinished run does"));
    json(at, "autoregressive train --resume parts");
    let weights = |model: &str| std::fs::read(at.join(model).join("model.safetensors")).unwrap();
    assert_eq!(weights("whole"), weights("parts"));
}

#[test]
fn exports_are_written() {
    let folder = with_model();
    let at = folder.path();
    assert_eq!(json(at, "autoregressive export m --to tables --out tables")["files"], 8);
    json(at, "autoregressive export m --to pytorch --out m.safetensors");
    assert!(at.join("m.safetensors").exists());
}

#[test]
fn completions_and_help_are_for_people() {
    let folder = tempfile::tempdir().unwrap();
    let shells = Command::cargo_bin("dozen").unwrap().args(["completions", "bash"]).output().unwrap();
    assert!(String::from_utf8_lossy(&shells.stdout).contains("autoregressive"));
    let help = dozen(folder.path(), "autoregressive train --help").output().unwrap();
    assert!(help.status.success());
    assert!(String::from_utf8_lossy(&help.stdout).contains("--patience"));
}

#[test]
#[expect(clippy::print_stdout, reason = "a skipped test says why")]
fn a_set_of_real_data_is_learnt_where_it_is_present() {
    let data = std::env::var("DOZEN_DATA").unwrap_or_else(|_| "../../../shared/data".to_owned());
    // Commands run in another folder.
    let Ok(data) = Path::new(&data).join("debd").canonicalize() else {
        println!("skipped: {data}/debd is not there; set DOZEN_DATA to the folder of data sets");
        return;
    };
    let set = |part: &str| format!("{}/nltcs.{part}.csv.gz", data.display());
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let line = format!(
        "autoregressive train {} --valid {} --model made --hidden 100 --dropout 0.1 --epochs 8 --out m",
        set("train"),
        set("valid")
    );
    json(at, &line);
    let test = json(at, &format!("autoregressive eval m {}", set("test")));
    assert_eq!(test["rows"], 3236);
    // The published Chow-Liu figure for this set is -6.76; a MADE of this size reaches about -6.02.
    assert!((test["baselines"]["chow_liu"].as_f64().unwrap() + 6.76).abs() < 0.005);
    assert!(test["log_prob_nats_per_row"].as_f64().unwrap() > -6.06, "{test}");
}
