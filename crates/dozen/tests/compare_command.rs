//! `dozen compare` as a user runs it.

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;

fn dozen(folder: &Path, arguments: &[&str]) -> Output {
    Command::cargo_bin("dozen").unwrap().current_dir(folder).arg("compare").args(arguments).output().unwrap()
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let output = dozen(folder, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Two hundred rows of two columns of numbers and one of categories.
fn write(folder: &Path, name: &str, seed: u32, step: f64, red: u32) {
    let noise = |i: u32, k: u32| f64::from((i * 7919 + k * 104_729 + seed * 15_485_863) % 1009) / 1009.0;
    let row = |i: u32| {
        let colour = if (i * 37 + seed) % 100 < red { "red" } else { "blue" };
        format!("{:.4},{:.4},{colour}\n", noise(i, 1) + step, 100.0 * noise(i, 2))
    };
    std::fs::write(folder.join(name), "x,y,colour\n".to_owned() + &(0..200).map(row).collect::<String>())
        .unwrap();
}

#[test]
fn the_column_that_differs_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "a.csv", 1, 0.0, 50);
    write(path, "same.csv", 2, 0.0, 50);
    write(path, "moved.csv", 3, 0.4, 50);
    write(path, "redder.csv", 4, 0.0, 90);
    for method in ["exact", "sliced"] {
        let run = |other: &str| json(path, &["a.csv", other, "--method", method]);
        assert!(run("same.csv")["p_value"].as_f64().unwrap() > 0.05);
        for (other, column) in [("moved.csv", "x"), ("redder.csv", "colour")] {
            let found = run(other);
            assert!(found["p_value"].as_f64() < Some(0.02) && found["method"] == method, "{found}");
            assert!(
                found["energy_p_value"].as_f64() < Some(0.02) && found["mmd_p_value"].as_f64() < Some(0.02)
            );
            let first = &found["columns"][0];
            assert_eq!(first["name"].as_str(), Some(column), "{found}");
            assert!(first["adjusted_p_value"].as_f64() < Some(0.02), "{found}");
            let shares: f64 =
                found["columns"].as_array().unwrap().iter().map(|c| c["share"].as_f64().unwrap()).sum();
            assert!((shares - 1.0).abs() < 1e-9);
        }
    }
    // Forty of each hundred rows would have to change their colour.
    let found = json(path, &["a.csv", "redder.csv"]);
    assert!((found["columns"][0]["distance"].as_f64().unwrap() - 0.4).abs() < 1e-9, "{found}");
    assert!(found["rows"].as_array().unwrap().iter().all(|row| row["row"].as_u64() >= Some(1)));
}

#[test]
fn a_pipeline_fails_above_its_limit_and_the_report_stands_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "a.csv", 1, 0.0, 50);
    write(path, "moved.csv", 3, 0.4, 50);
    let output = dozen(path, &["a.csv", "moved.csv", "--fail-above", "0.1", "--json", "--out", "report"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("above 0.1, the limit of --fail-above"));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(found["distance"].as_f64() > Some(0.1));
    assert!(dozen(path, &["a.csv", "moved.csv", "--fail-above", "100"]).status.success());
    assert_eq!(dozen(path, &["a.csv", "moved.csv", "--fail-below-p", "0.01"]).status.code(), Some(1));
    let page = std::fs::read_to_string(path.join("report/report.html")).unwrap();
    for part in ["The answer", "Columns", "The plan", "Rows", "moved.csv", "<svg"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("src=") && !page.contains("<script"));
}

#[test]
fn mistakes_are_sentences() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "a.csv", 1, 0.0, 50);
    std::fs::write(path.join("lacks.csv"), "x,y\n1,2\n3,4\n").unwrap();
    std::fs::write(path.join("number.csv"), "x,y,colour\n1,2,3\n3,4,5\n").unwrap();
    std::fs::write(path.join("same.csv"), "x\n1\n1\n").unwrap();
    let names: String = (0..200).map(|i| format!("name-{i}\n")).collect();
    std::fs::write(path.join("names.csv"), "name\n".to_owned() + &names).unwrap();
    std::fs::write(path.join("empty.csv"), "x,y,colour\n").unwrap();
    for (arguments, sentence) in [
        (&["a.csv", "lacks.csv"][..], "`lacks.csv` has no column `colour`, which `a.csv` has"),
        (&["lacks.csv", "a.csv"], "`lacks.csv` has no column `colour`, which `a.csv` has"),
        (&["a.csv", "a.csv", "--columns", "z"], "`a.csv` has no column `z`"),
        (&["a.csv", "number.csv"], "column `colour` holds text in one table and numbers in the other"),
        (&["same.csv", "same.csv"], "every column has the same value everywhere"),
        (&["names.csv", "names.csv"], "column `name` has 200 different texts, more than 100"),
        (&["a.csv", "empty.csv"], "`empty.csv`: there are no rows"),
        (&["a.csv", "a.csv", "--directions", "0", "--method", "sliced"], "--directions must be at least 1"),
    ] {
        let output = dozen(path, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(sentence), "{arguments:?}: {said}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
