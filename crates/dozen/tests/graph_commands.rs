//! `dozen graph` as a user runs it.

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;

fn dozen(folder: &Path, arguments: &[&str]) -> Output {
    Command::cargo_bin("dozen").unwrap().current_dir(folder).args(arguments).output().unwrap()
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let output = dozen(folder, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_algorithm_writes_the_same_tree() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for kind in ["random", "grid", "rmat", "complete"] {
        let make = ["make", "graph", "--kind", kind, "--nodes", "150", "--edges", "900", "--out", "g.csv"];
        json(path, &make);
        let mut trees = Vec::new();
        for algorithm in ["auto", "kruskal", "filter-kruskal", "prim", "boruvka"] {
            let run =
                json(path, &["graph", "mst", "g.csv", "--algorithm", algorithm, "--out", "t.csv", "--check"]);
            assert_eq!(
                run["tree_edges"].as_u64().unwrap() + run["components"].as_u64().unwrap(),
                run["nodes"].as_u64().unwrap()
            );
            trees.push((std::fs::read_to_string(path.join("t.csv")).unwrap(), run["total_weight"].as_f64()));
        }
        assert!(trees.iter().all(|tree| *tree == trees[0]), "{kind}");
    }
}

#[test]
fn a_tree_of_names_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("g.csv"), "from,to,cost\na,b,3\nb,c,1\na,c,2\nd,d,0\n").unwrap();
    let run = json(path, &["graph", "mst", "g.csv", "--out", "t.csv", "--check"]);
    assert_eq!((run["total_weight"].as_f64(), run["components"].as_u64()), (Some(3.0), Some(2)));
    assert_eq!((run["unique"].as_bool(), run["second_best_increase"].as_f64()), (Some(true), Some(1.0)));
    assert_eq!(std::fs::read_to_string(path.join("t.csv")).unwrap(), "u,v,weight,edge\nb,c,1,1\na,c,2,2\n");
    assert_eq!(json(path, &["graph", "mst", "g.csv", "--maximum"])["total_weight"].as_f64(), Some(5.0));
}

#[test]
fn points_have_their_tree_and_their_clusters() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    // Two rows of twenty points one apart, ten between the rows.
    let rows: String = (0..40).map(|i| format!("{},{}\n", i % 20, i / 20 * 10)).collect();
    std::fs::write(path.join("p.csv"), "x,y\n".to_owned() + &rows).unwrap();
    let run = json(path, &["graph", "emst", "p.csv", "--out", "t.csv"]);
    assert_eq!((run["total_weight"].as_f64(), run["points"].as_u64()), (Some(48.0), Some(40)));
    assert_eq!(std::fs::read_to_string(path.join("t.csv")).unwrap().lines().count(), 40);
    let cut = json(path, &["graph", "cluster", "p.csv", "--method", "cut", "--out", "l.csv"]);
    assert_eq!(cut["sizes"], serde_json::json!([20, 20]));
    let clusters = [
        "graph",
        "cluster",
        "p.csv",
        "--min-cluster-size",
        "5",
        "--min-samples",
        "2",
        "--out",
        "l.csv",
        "--report",
        "r",
    ];
    let found = json(path, &clusters);
    assert_eq!(
        (found["clusters"].as_u64(), found["separations"][0]["distance"].as_f64()),
        (Some(2), Some(10.0))
    );
    let labels = std::fs::read_to_string(path.join("l.csv")).unwrap();
    assert!(labels.starts_with("label,membership,outlier_score\n") && labels.lines().count() == 41);
    let page = std::fs::read_to_string(path.join("r/report.html")).unwrap();
    assert!(page.contains("The condensed tree") && page.contains("<polygon") && !page.contains("<script"));
    std::fs::write(path.join("new.csv"), "x,y\n3.5,0\n3.5,10\n500,500\n").unwrap();
    let predict = ["--min-cluster-size", "5", "--min-samples", "2", "--predict", "new.csv", "--out", "n.csv"];
    let placed = json(path, &[&["graph", "cluster", "p.csv"][..], &predict].concat());
    assert_eq!((placed["predicted"].as_u64(), placed["predicted_noise"].as_u64()), (Some(3), Some(1)));
    std::fs::write(path.join("p.tsp"), "NODE_COORD_SECTION\n1 0 0\n2 3 4\nEOF\n").unwrap();
    assert_eq!(json(path, &["graph", "emst", "p.tsp"])["total_weight"].as_f64(), Some(5.0));
}

#[test]
fn pictures_are_segmented_and_smoothed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let level = |x: u32| if x < 12 { [200, 30, 30] } else { [20, 60, 220] };
    image::RgbImage::from_fn(30, 20, |x, _| image::Rgb(level(x))).save(path.join("p.png")).unwrap();
    let run = json(path, &["graph", "segment", "p.png", "--sigma", "0", "--out", "s.png"]);
    assert_eq!((run["segments"].as_u64(), run["width"].as_u64()), (Some(2), Some(30)));
    let segments = image::open(path.join("s.png")).unwrap().into_rgb8();
    assert_eq!((segments.get_pixel(0, 0).0, segments.get_pixel(29, 19).0), (level(0), level(29)));
    json(path, &["graph", "segment", "p.png", "--grid", "four", "--out", "s.csv"]);
    assert_eq!(std::fs::read_to_string(path.join("s.csv")).unwrap().lines().count(), 601);
    json(path, &["graph", "smooth", "p.png", "--sigma", "0.05", "--out", "q.png"]);
    let smooth = image::open(path.join("q.png")).unwrap().into_rgb8();
    assert!(smooth.get_pixel(0, 0).0[0] > 190 && smooth.get_pixel(29, 0).0[0] < 30);
}

#[test]
fn mistakes_are_sentences_and_exit_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("nan.csv"), "u,v,weight\n0,1,nan\n").unwrap();
    std::fs::write(path.join("one.csv"), "u\n0\n1\n").unwrap();
    std::fs::write(path.join("p.csv"), "x,y\n0,1\n2,3\n").unwrap();
    std::fs::write(path.join("bad.png"), "this is no picture").unwrap();
    for (arguments, sentence) in [
        (&["mst", "nan.csv"][..], "`nan.csv`, line 2, column `weight`: `nan` is not a finite number"),
        (&["mst", "one.csv"], "edges have two columns of ends"),
        (&["mst", "none.gr"], "cannot open `none.gr`"),
        (&["emst", "p.csv", "--columns", "z"], "p.csv has no column `z`"),
        (&["cluster", "p.csv", "--min-cluster-size", "1"], "a cluster has at least 2 points"),
        (
            &["cluster", "p.csv", "--method", "cut", "--clusters", "3"],
            "--clusters 3 is not between 1 and the 2 points",
        ),
        (&["segment", "bad.png"], "`bad.png` is no PNG, JPEG, BMP or WebP picture"),
        (&["segment", "none.png"], "cannot read `none.png`"),
        (&["segment", "bad.png", "--scale", "-1"], "--scale -1 is not a number from zero up"),
        (&["smooth", "bad.png", "--sigma", "0", "--out", "x.png"], "--sigma 0 is not a positive number"),
    ] {
        let output = dozen(path, &[&["graph"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(sentence), "{arguments:?}: {said}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

/// Totals from an independent computation (the data's README).
#[test]
#[expect(clippy::print_stdout, reason = "a skipped test says why")]
fn trees_of_tsplib_where_it_is_present() {
    let data = std::env::var("DOZEN_DATA").unwrap_or_else(|_| "../../../shared/data".to_owned());
    let Ok(folder) = Path::new(&data).join("tsplib").canonicalize() else {
        println!("skipped: {data}/tsplib is not there; set DOZEN_DATA to the folder of data sets");
        return;
    };
    let totals = [
        ("berlin52", 6081.631),
        ("pr2392", 342_309.238),
        ("usa13509", 17_846_481.139),
        ("d18512", 593_669.372),
    ];
    for (name, total) in totals {
        let run = json(&folder, &["graph", "emst", &format!("{name}.tsp")]);
        assert!((run["total_weight"].as_f64().unwrap() - total).abs() < 1e-3, "{name}: {run}");
    }
}
