//! `dozen transport` as a user runs it.

use assert_cmd::Command;
use serde_json::Value;

fn dozen(folder: &std::path::Path, arguments: &[&str]) -> std::process::Output {
    Command::cargo_bin("dozen").unwrap().current_dir(folder).args(arguments).output().unwrap()
}

fn json(folder: &std::path::Path, arguments: &[&str]) -> Value {
    let output = dozen(folder, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("{key} in {value}"))
}

#[test]
fn distances_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("a.csv"), "x,y,w\n0,0,1\n1,0,1\n").unwrap();
    std::fs::write(path.join("b.csv"), "x,y,w\n0,3,3\n1,4,1\n").unwrap();
    // A quarter of the first point goes 3 up, the second's half splits: 1/4 to (0, 3), 1/4 four up.
    let run = json(path, &["transport", "distance", "a.csv", "b.csv", "--weights-column", "w"]);
    let expected = 0.5 * 3.0 + 0.25 * 10.0_f64.sqrt() + 0.25 * 4.0;
    assert!((number(&run, "value") - expected).abs() < 1e-12, "{run}");
    assert!((number(&run, "dual_value") - expected).abs() < 1e-12);
    assert!(number(&run, "gap").abs() < 1e-12 && number(&run, "infeasibility") < 1e-12);
    assert_eq!((run["n"].as_u64(), run["method"].as_str()), (Some(2), Some("exact")));
    // W_2 of the squares.
    let run =
        json(path, &["transport", "distance", "a.csv", "b.csv", "--weights-column", "w", "--power", "2"]);
    let squares: f64 = 0.5 * 9.0 + 0.25 * 10.0 + 0.25 * 16.0;
    assert!((number(&run, "value") - squares.sqrt()).abs() < 1e-12, "{run}");
}

#[test]
fn one_column_has_a_closed_form_and_both_ways_agree() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let column = |offset: f64| -> String {
        (0..40).map(|i| format!("{}\n", (f64::from(i) * 7.3 + offset).sin())).collect()
    };
    std::fs::write(path.join("a.csv"), column(0.0)).unwrap();
    std::fs::write(path.join("b.csv"), column(0.4)).unwrap();
    for extra in [&[][..], &["--power", "2"], &["--cost", "sqeuclidean"]] {
        let both = ["line", "exact"].map(|method| {
            json(path, &[&["transport", "distance", "a.csv", "b.csv", "--method", method], extra].concat())
        });
        assert!((number(&both[0], "value") - number(&both[1], "value")).abs() < 1e-12, "{both:?}");
    }
}

#[test]
fn a_plan_moves_each_weight_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("c.csv"), "3,1,2\n1,5,4\n").unwrap();
    std::fs::write(path.join("w.csv"), "2\n1\n1\n").unwrap();
    let run = json(
        path,
        &[
            "transport",
            "plan",
            "--cost-matrix",
            "c.csv",
            "--header",
            "no",
            "--weights-b",
            "w.csv",
            "--out",
            "plan.csv",
        ],
    );
    assert!((number(&run, "value") - (0.5 * 1.0 + 0.25 * 1.0 + 0.25 * 2.0)).abs() < 1e-12, "{run}");
    let plan = std::fs::read_to_string(path.join("plan.csv")).unwrap();
    assert_eq!(plan, "from,to,mass\n0,1,0.25\n0,2,0.25\n1,0,0.5\n");
}

#[test]
fn mistakes_are_sentences_and_exit_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("a.csv"), "x,y\n0,0\n1,1\n").unwrap();
    std::fs::write(path.join("b.csv"), "x,y,z\n0,0,0\n1,1,1\n").unwrap();
    std::fs::write(path.join("w.csv"), "1\n-1\n").unwrap();
    std::fs::write(path.join("t.csv"), "x,y\na,0\nb,1\n").unwrap();
    for (arguments, sentence) in [
        (&["a.csv", "b.csv"][..], "the first side has 2 coordinates a point, the second 3"),
        (&["a.csv"], "name two tables, or a matrix with --cost-matrix FILE"),
        (&["a.csv", "a.csv", "--weights-a", "w.csv"], "weight 1 of the first side is -1"),
        (&["a.csv", "a.csv", "--weights-column", "w"], "a.csv has no column `w`"),
        (&["a.csv", "t.csv"], "t.csv: column `x` holds text"),
        (&["a.csv", "a.csv", "--method", "line"], "--method line is for tables of one column"),
        (&["a.csv", "a.csv", "--power", "0.5"], "a power of 0.5 is not at least 1"),
    ] {
        let output = dozen(path, &[&["transport", "distance"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(sentence), "{arguments:?}: {said}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
