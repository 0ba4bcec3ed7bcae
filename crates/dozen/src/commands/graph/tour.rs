//! The graph stop of the tour.

use std::path::Path;

use dozen::data::make;
use dozen::data::make::GraphKind;
use dozen::graph::{
    Algorithm, Convention, Graph, HdbscanConfig, Selection, euclidean_tree, hdbscan, minimum_spanning_forest,
};
use dozen::report::ScatterPlot;
use serde_json::json;

use super::{PointTable, page};
use crate::context::Context;
use crate::data::rows_of;
use crate::output::Failure;
use crate::tour_stop::{Check, Stop};

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
    let checks = vec![
        Check::new(
            found.chosen.len() == 2 && agreement > 0.99,
            format!(
                "{} clusters in two moons, {:.2} % of the pairs right",
                found.chosen.len(),
                100.0 * agreement
            ),
        ),
        forests(context)?,
    ];
    let json = json!({
        "clusters": found.chosen.len(),
        "pairs_right": agreement,
        "tree_weight": tree.total_weight,
    });
    Ok(Stop { report, json, checks })
}

/// Four algorithms must find one forest.
fn forests(context: &Context) -> Result<Check, Failure> {
    let made = make::graph(GraphKind::Random, 2000, 12_000, context.seed())?;
    let rows = rows_of(&made, "the made edges", &["u", "v", "weight"])?.0;
    let ends = |place: usize| rows.chunks(3).map(|row| row[place] as u32).collect::<Vec<u32>>();
    let weights: Vec<f64> = rows.chunks(3).map(|row| row[2]).collect();
    let (from, to) = (ends(0), ends(1));
    let graph = Graph::new(2000, &from, &to, &weights)?;
    let algorithms = [Algorithm::Kruskal, Algorithm::FilterKruskal, Algorithm::Prim, Algorithm::Boruvka];
    let found = algorithms.map(|algorithm| minimum_spanning_forest(graph, algorithm));
    let same = found.iter().all(|forest| forest.edges == found[0].edges);
    Ok(Check::new(
        same,
        format!(
            "Kruskal, filter-Kruskal, Prim and Boruvka agree on {} edges of {:.6} in all",
            found[0].edges.len(),
            found[0].total_weight
        ),
    ))
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
