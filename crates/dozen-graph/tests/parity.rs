//! The same trees, clusters and segments as the peers', from `parity/graph.json`, which `parity/graph.py` made.

use std::collections::HashMap;

use dozen_graph::*;
use serde_json::Value;

fn golden() -> Value {
    // Tests run in their package's folder.
    let path = "../../parity/graph.json";
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn list(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// How many places two labellings differ in, each of our labels being named as most of its places are there; -1 is noise.
fn differing(ours: &[i64], theirs: &[i64]) -> usize {
    let mut counts: HashMap<(i64, i64), usize> = HashMap::new();
    for pair in ours.iter().copied().zip(theirs.iter().copied()) {
        *counts.entry(pair).or_default() += 1;
    }
    let mut pairs: Vec<((i64, i64), usize)> = counts.into_iter().collect();
    pairs.sort_by_key(|(pair, count)| (std::cmp::Reverse(*count), *pair));
    // Each label has one name, and each name one label.
    let (mut named, mut taken) = (HashMap::from([(-1, -1)]), HashMap::from([(-1, -1)]));
    let mut same = 0;
    for ((a, b), count) in pairs {
        if !named.contains_key(&a) && !taken.contains_key(&b) {
            named.insert(a, b);
            taken.insert(b, a);
        }
        same += if named.get(&a) == Some(&b) { count } else { 0 };
    }
    ours.len() - same
}

#[test]
fn totals_are_those_of_scipy_and_networkx() {
    for case in golden()["trees"].as_array().unwrap() {
        let ends = |key: &str| list(&case[key]).into_iter().map(|node| node as u32).collect::<Vec<u32>>();
        let (sources, targets, weights) = (ends("sources"), ends("targets"), list(&case["weights"]));
        let graph = Graph::new(number(&case["nodes"]) as usize, &sources, &targets, &weights).unwrap();
        let forest = minimum_spanning_forest(graph, Algorithm::Auto);
        assert_eq!(forest.components as f64, number(&case["components"]));
        for peer in ["scipy", "networkx"] {
            assert!((forest.total_weight - number(&case[peer])).abs() < 1e-12, "{peer}");
        }
    }
}

#[test]
fn clusters_are_those_of_hdbscan_and_scikit_learn() {
    for case in golden()["clusters"].as_array().unwrap() {
        let values = list(&case["points"]);
        let points = Points::new(&values, number(&case["dimension"]) as usize).unwrap();
        for run in case["runs"].as_array().unwrap() {
            let leaf = run["selection"].as_str() == Some("leaf");
            for (peer, convention) in [("hdbscan", Convention::Others), ("sklearn", Convention::WithSelf)] {
                let config = HdbscanConfig {
                    min_cluster_size: number(&run["min_cluster_size"]) as usize,
                    min_samples: number(&run["min_samples"]) as usize,
                    convention,
                    selection: if leaf { Selection::Leaf } else { Selection::ExcessOfMass },
                    allow_single: run["single"].as_bool().unwrap(),
                };
                let found = hdbscan(points, &config).unwrap();
                let ours: Vec<i64> = found.labels.iter().map(|label| label.map_or(-1, i64::from)).collect();
                let theirs: Vec<i64> = list(&run[peer]).into_iter().map(|label| label as i64).collect();
                // Leaves are small, and where links are of one length their order decides on which side of a split a point
                // is left; hdbscan's own exact algorithms differ there too.
                let allowed = if leaf { ours.len() * 3 / 100 } else { 0 };
                let differing = differing(&ours, &theirs);
                assert!(differing <= allowed, "{differing} of {} differ from {peer}, {config:?}", ours.len());
                if peer == "hdbscan" {
                    for (ours, theirs) in found.memberships.iter().zip(list(&run["memberships"])) {
                        assert!((ours - theirs).abs() < 1e-9, "{ours} and {theirs}, {config:?}");
                    }
                    // Of links of one length, which mutual reachability makes many of, either order is right; it decides
                    // which of two clusters a point that leaves at their split leaves from, and so its outlier score.
                    let theirs = list(&run["outlier_scores"]);
                    let same = found
                        .outlier_scores
                        .iter()
                        .zip(&theirs)
                        .filter(|(a, b)| (*a - *b).abs() < 1e-9)
                        .count();
                    assert!(same * 100 >= theirs.len() * 95, "{same} of {}, {config:?}", theirs.len());
                }
            }
        }
    }
}

#[test]
fn segments_are_those_of_scikit_image() {
    let golden = &golden()["segments"];
    let [width, height, channels] = ["width", "height", "channels"].map(|key| number(&golden[key]) as usize);
    let image = Image::new(width, height, channels, list(&golden["values"])).unwrap();
    for run in golden["runs"].as_array().unwrap() {
        let blurred = image.blurred(number(&run["sigma"]));
        let min_size = number(&run["min_size"]) as usize;
        let found = felzenszwalb(&blurred, number(&run["scale"]) / 255.0, min_size, Neighbourhood::Eight);
        let ours: Vec<i64> = found.labels.iter().map(|&label| i64::from(label)).collect();
        let theirs: Vec<i64> = list(&run["labels"]).into_iter().map(|label| label as i64).collect();
        assert_eq!(differing(&ours, &theirs), 0);
        assert_eq!(found.segments as i64, theirs.iter().max().unwrap() + 1);
    }
}
