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
    std::fs::write(path.join("r.csv"), "from,to,cost\n0,0,1\n1,0,2\n1,1,1e3\n2,0,1\n3,0,1\n").unwrap();
    std::fs::write(path.join("nan.csv"), "x,y\n0,nan\n").unwrap();
    std::fs::write(path.join("empty.csv"), "x,y\n").unwrap();
    for (arguments, sentence) in [
        (&["a.csv", "b.csv"][..], "the first side has 2 coordinates a point, the second 3"),
        (&["a.csv"], "name two tables, or --cost-matrix FILE, or --routes FILE"),
        (&["a.csv", "a.csv", "--weights-a", "w.csv"], "weight 1 of the first side is -1"),
        (&["a.csv", "a.csv", "--weights-column", "w"], "a.csv has no column `w`"),
        (&["a.csv", "t.csv"], "t.csv: column `x` holds text"),
        (&["a.csv", "a.csv", "--method", "line"], "--method line is for tables of one column"),
        (&["a.csv", "a.csv", "--power", "0.5"], "a power of 0.5 is not at least 1"),
        (&["a.csv", "a.csv", "--period", "24"], "--period is for tables of one column"),
        (
            &["a.csv", "a.csv", "--method", "sinkhorn", "--epsilon", "0"],
            "epsilon is 0; it must be a positive number",
        ),
        (&["a.csv", "a.csv", "--method", "sliced", "--cost", "cosine"], "sliced distances are of lengths"),
        (&["--routes", "a.csv"], "a.csv has no column `from`"),
        (&["--routes", "r.csv"], "the routes leave 25.0000 % of the mass where it is"),
        (&["nan.csv", "a.csv"], "`nan.csv`, line 2, column `y`: `nan` is not a finite number"),
        (&["empty.csv", "a.csv"], "`empty.csv`: there are no rows"),
    ] {
        let output = dozen(path, &[&["transport", "distance"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(sentence), "{arguments:?}: {said}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn every_method_gives_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let cloud = |offset: f64| -> String {
        let point =
            |i: i32| format!("{},{}\n", (f64::from(i) * 7.3).sin() + offset, (f64::from(i) * 3.1).cos());
        "x,y\n".to_owned() + &(0..60).map(point).collect::<String>()
    };
    std::fs::write(path.join("a.csv"), cloud(0.0)).unwrap();
    std::fs::write(path.join("b.csv"), cloud(0.5)).unwrap();
    let run = |extra: &[&str]| json(path, &[&["transport", "distance", "a.csv", "b.csv"], extra].concat());
    // A cloud moved by 0.5 is 0.5 away, along x; its entropic bounds hold that, and its divergence of squares is 0.25.
    let exact = run(&[]);
    assert!((number(&exact, "value") - 0.5).abs() < 1e-12);
    let entropic = run(&["--method", "sinkhorn", "--epsilon", "0.01"]);
    assert_eq!(entropic["converged"].as_bool(), Some(true));
    assert!(number(&entropic, "exact_at_least") <= 0.5 && number(&entropic, "exact_at_most") >= 0.5);
    let debiased = run(&["--method", "sinkhorn", "--epsilon", "0.1", "--debias", "--cost", "sqeuclidean"]);
    assert!((number(&debiased, "value") - 0.25).abs() < 1e-6, "{debiased}");
    let unbalanced = run(&["--method", "sinkhorn", "--epsilon", "0.05", "--reach", "0.1"]);
    assert!(number(&unbalanced, "mass") < 0.95 && unbalanced.get("exact_at_least").is_none());
    let most = run(&["--method", "max-sliced"]);
    assert!((number(&most, "value") - 0.5).abs() < 1e-6, "{most}");
    let sliced = run(&["--method", "sliced", "--directions", "2000"]);
    let mean_cosine = 0.5 * std::f64::consts::FRAC_2_PI;
    assert!(
        (number(&sliced, "value") - mean_cosine).abs() < 5.0 * number(&sliced, "standard_error"),
        "{sliced}"
    );
    let price = run(&["--method", "one-price"]);
    assert!(
        (number(&price, "value") - 0.5).abs() < 1e-9 && price["lower_bound_only"].as_bool() == Some(false)
    );
    let squares = run(&["--method", "one-price", "--cost", "sqeuclidean"]);
    assert!(number(&squares, "value") < 0.25 && squares["lower_bound_only"].as_bool() == Some(true));
    let said = dozen(
        path,
        &["transport", "distance", "a.csv", "b.csv", "--method", "one-price", "--cost", "sqeuclidean"],
    );
    assert!(String::from_utf8_lossy(&said.stdout).contains("a LOWER BOUND only"));
}

#[test]
fn hours_lie_on_a_circle_and_routes_are_the_only_ways() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("late.csv"), "hour\n23\n22\n").unwrap();
    std::fs::write(path.join("early.csv"), "hour\n1\n2\n").unwrap();
    let run = json(path, &["transport", "distance", "late.csv", "early.csv", "--period", "24"]);
    assert!((number(&run, "value") - 3.0).abs() < 1e-9, "{run}");
    std::fs::write(path.join("routes.csv"), "from,to,cost\n0,0,5\n1,0,1\n1,1,1\n").unwrap();
    let run = json(path, &["transport", "distance", "--routes", "routes.csv"]);
    assert!((number(&run, "value") - 3.0).abs() < 1e-9 && number(&run, "gap").abs() < 1e-9, "{run}");
}

#[test]
fn barycenters_lie_between() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("a.csv"), "x,y\n0,0\n1,0\n0,1\n").unwrap();
    std::fs::write(path.join("b.csv"), "x,y\n4,0\n5,0\n4,1\n").unwrap();
    let run = json(path, &["transport", "barycenter", "a.csv", "b.csv", "--shares", "3,1", "--out", "c.csv"]);
    // W_2^2 is 16; at a quarter of the way 3/4 (1/4)^2 + 1/4 (3/4)^2 of it.
    assert!((number(&run, "cost") - 3.0).abs() < 1e-9, "{run}");
    let mut middle: Vec<String> =
        std::fs::read_to_string(path.join("c.csv")).unwrap().lines().map(str::to_owned).collect();
    middle[1..].sort();
    assert_eq!(middle, ["x,y", "1,0", "1,1", "2,0"]);
    let run = [
        "transport",
        "barycenter",
        "a.csv",
        "b.csv",
        "--support",
        "union",
        "--epsilon",
        "0.5",
        "--out",
        "w.csv",
    ];
    assert_eq!(json(path, &run)["converged"].as_bool(), Some(true));
    let weights = std::fs::read_to_string(path.join("w.csv")).unwrap();
    let sum: f64 =
        weights.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().parse::<f64>().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9 && weights.starts_with("x,y,weight\n"));
    let output =
        dozen(path, &["transport", "barycenter", "a.csv", "b.csv", "--shares", "1", "--out", "c.csv"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 shares do not fit 2 tables"));
}
