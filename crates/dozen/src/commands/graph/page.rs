//! The report of a clustering.

use std::fmt::Write;

use dozen::graph::{Clustering, single_linkage};
use dozen::report::{Report, ScatterPlot, Table as Cells};

use super::PointTable;

/// Points that are drawn.
const DRAWN: usize = 5000;
/// Marks that the page's style turns into colours.
const SERIES: [&str; 8] =
    ["#010001", "#010002", "#010003", "#010004", "#010005", "#010006", "#010007", "#010008"];

pub(super) fn report(found: &Clustering, table: &PointTable, file: &str, command: String) -> Report {
    let noise = found.labels.iter().filter(|label| label.is_none()).count();
    let lead = format!(
        "{} clusters in the {} points of {file}, {noise} of which are noise.",
        found.chosen.len(),
        found.labels.len()
    );
    let mut report = Report::new("Clusters by density", lead, command);
    let mut cells = Cells::new(["cluster", "points", "stability", "mean membership"]);
    for (label, &cluster) in found.chosen.iter().enumerate() {
        let members =
            || found.labels.iter().zip(&found.memberships).filter(|(l, _)| **l == Some(label as u32));
        let count = members().count();
        let mean = members().map(|(_, membership)| membership).sum::<f64>() / count.max(1) as f64;
        cells = cells.row([
            label.to_string(),
            count.to_string(),
            format!("{:.4}", found.condensed.stabilities[cluster as usize]),
            format!("{mean:.4}"),
        ]);
    }
    let section = report.section("Clusters");
    section.table(cells);
    if table.names.len() >= 2 {
        section.plot(scatter(found, table), "The first two columns; noise is left out.");
    }
    report
        .section("The condensed tree")
        .text(
            "From all points above to the densest below: a block is a cluster, as wide as it has points at that density, and \
             those that were chosen are in colour.",
        )
        .plot(condensed(found), "Density, as one over the distance, on a logarithmic scale.");
    let mut cells = Cells::new(["clusters", "meet at distance", "between points"]);
    for separation in found.separations().iter().take(30) {
        let link = found.tree.links[separation.link as usize];
        cells = cells.row([
            format!("{} and {}", separation.first, separation.second),
            format!("{:.6}", link.weight),
            format!("{} and {}", link.a, link.b),
        ]);
    }
    report
        .section("What separates them")
        .text("The link of the spanning tree at which two clusters first meet; points are counted from 0.")
        .table(cells)
        .plot(dendrogram(found), "The last merges of the dendrogram.");
    report
}

fn scatter(found: &Clustering, table: &PointTable) -> String {
    let width = table.names.len();
    let every = found.labels.len().div_ceil(DRAWN);
    let plot = ScatterPlot::new("", &table.names[0], &table.names[1]);
    let group = |plot: ScatterPlot, label: u32| {
        let inside = found.labels.iter().enumerate().step_by(every).filter(|(_, l)| **l == Some(label));
        let points = inside.map(|(i, _)| (table.values[i * width], table.values[i * width + 1])).collect();
        plot.group(format!("cluster {label}"), points)
    };
    (0..found.chosen.len() as u32).fold(plot, group).svg()
}

/// Blocks for the clusters of the condensed tree, children side by side below their parent.
fn condensed(found: &Clustering) -> String {
    const WIDTH: f64 = 700.0;
    const HEIGHT: f64 = 300.0;
    let tree = &found.condensed;
    let finite = |lambda: &&f64| lambda.is_finite() && **lambda > 0.0;
    let all = || tree.falls.iter().map(|fall| &fall.lambda).filter(finite);
    let (low, high) = all().fold((f64::INFINITY, 0.0_f64), |(low, high), &l| (low.min(l), high.max(l)));
    if high <= 0.0 {
        return String::new();
    }
    let span = (high / low).ln().max(1e-9);
    let place = |lambda: f64| 10.0 + HEIGHT * ((lambda.clamp(low, high) / low).ln() / span);
    let total = f64::from(tree.sizes[0]);
    // Where each cluster's block begins: the first child at its parent's left end, the second after it.
    let mut left = vec![20.0; tree.parents.len()];
    let mut used = vec![0.0; tree.parents.len()];
    for child in 1..tree.parents.len() {
        let parent = tree.parents[child] as usize;
        left[child] = left[parent] + used[parent];
        used[parent] += WIDTH * f64::from(tree.sizes[child]) / total;
    }
    let mut leaving: Vec<Vec<(f64, f64)>> = vec![Vec::new(); tree.parents.len()];
    for fall in &tree.falls {
        leaving[fall.cluster as usize].push((fall.lambda, 1.0));
    }
    for child in 1..tree.parents.len() {
        leaving[tree.parents[child] as usize].push((tree.births[child], f64::from(tree.sizes[child])));
    }
    let mut svg = format!(
        "<svg viewBox=\"0 0 {} {}\" xmlns=\"http://www.w3.org/2000/svg\">",
        WIDTH + 40.0,
        HEIGHT + 20.0
    );
    for (cluster, mut leaving) in leaving.into_iter().enumerate() {
        leaving.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut size = f64::from(tree.sizes[cluster]);
        let x = left[cluster];
        let mut outline = format!("{x:.1},{:.1} ", place(tree.births[cluster]));
        let _ = write!(outline, "{:.1},{:.1} ", x + WIDTH * size / total, place(tree.births[cluster]));
        let step = leaving.len().div_ceil(200).max(1);
        for part in leaving.chunks(step) {
            let y = place(part[part.len() - 1].0);
            let _ = write!(outline, "{:.1},{y:.1} ", x + WIDTH * size / total);
            size -= part.iter().map(|(_, points)| points).sum::<f64>();
            let _ = write!(outline, "{:.1},{y:.1} ", x + WIDTH * size.max(0.0) / total);
        }
        let _ = write!(outline, "{x:.1},{:.1}", place(tree.deaths[cluster]));
        let chosen = found.chosen.iter().position(|&c| c as usize == cluster);
        let fill = chosen.map_or("#020202", |label| SERIES[label % SERIES.len()]);
        let opacity = if chosen.is_some() { 1.0 } else { 0.35 };
        let _ = write!(svg, "<polygon points=\"{outline}\" fill=\"{fill}\" opacity=\"{opacity}\"/>");
    }
    svg.push_str("</svg>");
    svg
}

/// The last merges, as brackets over leaves that stand for what merged before.
fn dendrogram(found: &Clustering) -> String {
    const LEAVES: usize = 30;
    const WIDTH: f64 = 700.0;
    const HEIGHT: f64 = 220.0;
    let n = found.labels.len();
    let merges = single_linkage(n, &found.tree.links);
    let first = merges.len().saturating_sub(LEAVES - 1);
    let shown = &merges[first..];
    let Some(last) = shown.last() else { return String::new() };
    if last.height <= 0.0 {
        return String::new();
    }
    // Places of what is shown: leaves in the order of a walk from the top.
    let mut places = std::collections::HashMap::new();
    let mut stack = vec![(n + merges.len() - 1) as u32];
    let mut leaves = 0;
    while let Some(node) = stack.pop() {
        if (node as usize) < n + first {
            places.insert(node, f64::from(leaves));
            leaves += 1;
        } else {
            let merge = merges[node as usize - n];
            stack.extend([merge.right, merge.left]);
        }
    }
    let x = |place: f64| 20.0 + WIDTH * (place + 0.5) / f64::from(leaves);
    let y = |height: f64| 10.0 + HEIGHT * (1.0 - height / last.height);
    let height = |node: u32| if (node as usize) < n + first { 0.0 } else { merges[node as usize - n].height };
    let mut svg = format!(
        "<svg viewBox=\"0 0 {} {}\" xmlns=\"http://www.w3.org/2000/svg\">",
        WIDTH + 40.0,
        HEIGHT + 20.0
    );
    for (index, merge) in shown.iter().enumerate() {
        let [a, b] = [merge.left, merge.right].map(|node| (places[&node], height(node)));
        places.insert((n + first + index) as u32, f64::midpoint(a.0, b.0));
        let _ = write!(
            svg,
            "<polyline points=\"{:.1},{:.1} {:.1},{:.1} {:.1},{:.1} {:.1},{:.1}\" fill=\"none\" stroke=\"#010001\" \
             stroke-width=\"1.5\"/>",
            x(a.0),
            y(a.1),
            x(a.0),
            y(merge.height),
            x(b.0),
            y(merge.height),
            x(b.0),
            y(b.1)
        );
    }
    svg.push_str("</svg>");
    svg
}
