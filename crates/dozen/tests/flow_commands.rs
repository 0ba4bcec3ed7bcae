//! `dozen flow ...` as its users call it.

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

fn dozen(folder: &Path, line: &str) -> std::process::Output {
    Command::cargo_bin("dozen").unwrap().current_dir(folder).args(line.split_whitespace()).output().unwrap()
}

fn json(folder: &Path, line: &str) -> Value {
    let output = dozen(folder, &format!("{line} --json --quiet"));
    assert!(output.status.success(), "dozen {line}\n{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refused(folder: &Path, line: &str) -> String {
    let output = dozen(folder, line);
    assert_eq!(output.status.code(), Some(2), "dozen {line}");
    String::from_utf8(output.stderr).unwrap()
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("{key} in {value}"))
}

#[test]
fn a_flow_is_trained_evaluated_scored_and_drawn_from() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    let made = json(path, "make checkerboard -n 5000 --out board.csv");
    let trained = json(
        path,
        "flow train board.csv --columns x,y --hidden 32,32 --epochs 20 --rate 0.005 --split 0.8,0.1,0.1 --out m",
    );
    let found = number(&trained, "valid_log_prob_nats_per_row");
    let best = -number(&made, "entropy_nats_per_row");
    // A Gaussian has -2.9; nothing is above the truth but by chance.
    assert!(found > best - 0.45 && found < best + 0.1, "{found} {best}");
    let page = std::fs::read_to_string(path.join("m/report.html")).unwrap();
    assert!(page.contains("The way from the data to the base") && page.contains("Calibration"));
    let eval = json(path, "flow eval m board.csv");
    assert!((number(&eval, "log_prob_nats_per_row") - found).abs() < 0.1);
    assert!(number(&eval, "wasserstein_to_samples") < 2.0 * number(&eval, "wasserstein_between_halves"));
    json(path, "flow score m board.csv --out scores.csv");
    let scores = std::fs::read_to_string(path.join("scores.csv")).unwrap();
    assert!(scores.starts_with("log_prob_nats,p_value,z_x,z_y\n") && scores.lines().count() == 5001);
    json(path, "flow sample m -n 100 --out s.csv");
    let again = json(path, "flow sample m -n 3 --seed 5");
    assert_eq!(again["values"], json(path, "flow sample m -n 3 --seed 5")["values"]);
    // The way between two rows begins and ends with them.
    let way = json(path, "flow interpolate m s.csv --rows 3,7 -n 5");
    let cell = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let text = std::fs::read_to_string(path.join("s.csv")).unwrap();
    for (row, place) in [(3, 0), (7, 4)] {
        let there: Vec<f64> = text.lines().nth(row).unwrap().split(',').map(|c| c.parse().unwrap()).collect();
        assert!((0..2).all(|j| (cell(&way["values"][place][j]) - there[j]).abs() < 1e-3), "{way}");
    }
    assert!(refused(path, "flow interpolate m s.csv --rows 1,101").contains("there is no row 101"));
    // There and back: the rows as they were.
    json(path, "flow encode m s.csv --out z.csv");
    json(path, "flow decode m z.csv --out back.csv");
    let rows = |name: &str| -> Vec<f64> {
        let text = std::fs::read_to_string(path.join(name)).unwrap();
        text.lines()
            .skip(1)
            .flat_map(|line| line.split(',').map(|cell| cell.parse::<f64>().unwrap()).collect::<Vec<_>>())
            .collect()
    };
    let worst = rows("s.csv").iter().zip(rows("back.csv")).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-3, "{worst}");
}

#[test]
fn conditions_and_whole_numbers() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    json(path, "make blobs -n 2000 --out blobs.csv");
    json(
        path,
        "flow train blobs.csv --condition label --preset nsf-coupling --hidden 32 --steps 2 --epochs 15 --rate 0.005 --out m",
    );
    let drawn = json(path, "flow sample m -n 200 --given label=part_1");
    let mean = drawn["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[1].as_str().unwrap().parse::<f64>().unwrap())
        .sum::<f64>()
        / 200.0;
    assert!((mean - 4.0).abs() < 0.5, "{mean}");
    assert!(refused(path, "flow sample m -n 2").contains("give a value of `label` with --given"));
    assert!(refused(path, "flow sample m --given label=part_9").contains("part_9"));
    let text: String =
        (0..600).map(|i| format!("{},{}\n", i * 37 % 5, f64::from(i * 11 % 17) / 3.0)).collect();
    std::fs::write(path.join("counts.csv"), format!("count,size\n{text}")).unwrap();
    json(path, "flow train counts.csv --dequantize count --hidden 16 --steps 2 --epochs 5 --out whole");
    let drawn = json(path, "flow sample whole -n 50");
    let counts = drawn["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[0].as_str().unwrap().parse::<f64>().unwrap());
    assert!(counts.into_iter().all(|count| (count - count.round()).abs() < 1e-4));
    assert!(refused(path, "flow train counts.csv --dequantize size --out x").contains("is no whole number"));
}

#[test]
fn tables_that_have_no_density_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    let write = |name: &str, text: &str| std::fs::write(path.join(name), text).unwrap();
    write("constant.csv", &format!("a,b\n{}", (0..40).map(|i| format!("{i}.5,3.5\n")).collect::<String>()));
    write(
        "kinds.csv",
        &format!("a,b,c\n{}", (0..40).map(|i| format!("{i}.5,w{},{}\n", i % 3, i % 2)).collect::<String>()),
    );
    write(
        "gap.csv",
        &format!("a,b\n{}1.5,\n", (0..40).map(|i| format!("{i}.5,{i}.25\n")).collect::<String>()),
    );
    write(
        "infinite.csv",
        &format!("a,b\n{}1.5,inf\n", (0..40).map(|i| format!("{i}.5,{i}.25\n")).collect::<String>()),
    );
    for (line, sentence) in [
        ("flow train constant.csv --out x", "every row has the same value"),
        ("flow train kinds.csv --out x", "column `b` is categorical, and a flow models numbers"),
        ("flow train kinds.csv --columns a,c --out x", "column `c` has only zeros and ones"),
        ("flow train kinds.csv --columns z --out x", "there is no column `z`"),
        ("flow train gap.csv --out x", "gap.csv"),
        ("flow train infinite.csv --out x", "infinite.csv"),
        ("flow train kinds.csv --columns a --preset realnvp --out x", "coupling needs two columns"),
    ] {
        let error = refused(path, line);
        assert!(error.contains(sentence), "dozen {line}: {error}");
    }
}
