//! The graph stop of the tour.

use std::path::Path;

use dozen::data::make;
use dozen::graph::{Convention, HdbscanConfig, Selection, euclidean_tree, hdbscan};
use dozen::report::ScatterPlot;
use serde_json::json;

use super::{PointTable, page};
use crate::args::Context;
use crate::commands::tour::Stop;
use crate::data::rows_of;
use crate::output::Failure;

/// Two moons, whose halves are known, by density; and their spanning tree.
pub(crate) fn tour(_: &Path, context: &Context) -> Result<Stop, Failure> {
    let made = make::two_moons(1500, context.seed()).table;
    let table =
        PointTable { values: rows_of(&made, "", &["x", "y"])?.0, names: vec!["x".into(), "y".into()] };
    let points = table.points()?;
    let config = HdbscanConfig {
        min_cluster_size: 100,
        min_samples: 10,
        convention: Convention::Others,
        selection: Selection::ExcessOfMass,
        allow_single: false,
    };
    let found = hdbscan(points, &config)?;
    let label = made
        .column("label")
        .map_or(Vec::new(), |column| (0..made.rows()).map(|row| column.values.text(row)).collect::<Vec<_>>());
    let agreement = rand_index(&found.labels, &label);
    let tree = euclidean_tree(points);
    let mut report = page::report(&found, &table, "the two moons", context.command_line());
    let at = |i: u32| (table.values[2 * i as usize], table.values[2 * i as usize + 1]);
    let segments = tree.links.iter().map(|link| [at(link.a), at(link.b)]).collect();
    report
        .section("The spanning tree")
        .text(&format!(
            "{} links of least total length, {:.6}. Of the pairs of points that are in clusters, {:.2} % are together or \
             apart as the moons say.",
            tree.links.len(),
            tree.total_weight,
            100.0 * agreement
        ))
        .plot(ScatterPlot::new("", "x", "y").segments(segments).group("", Vec::new()).svg(), "Each line is a link.");
    let line = format!(
        "graph: {} clusters in two moons, {:.2} % of the pairs right; a tree of length {:.4}",
        found.chosen.len(),
        100.0 * agreement,
        tree.total_weight
    );
    let json = json!({
        "clusters": found.chosen.len(),
        "pairs_right": agreement,
        "tree_weight": tree.total_weight,
    });
    Ok(Stop { report, json, line })
}

/// The part of pairs of clustered points that both labellings put together or apart (Rand 1971).
fn rand_index(found: &[Option<u32>], truth: &[String]) -> f64 {
    let (mut right, mut all) = (0_u64, 0_u64);
    for i in 0..found.len() {
        for j in 0..i {
            if let (Some(a), Some(b)) = (found[i], found[j]) {
                all += 1;
                right += u64::from((a == b) == (truth[i] == truth[j]));
            }
        }
    }
    right as f64 / all.max(1) as f64
}
