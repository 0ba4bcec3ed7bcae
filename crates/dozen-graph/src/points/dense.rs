//! Over all pairs of points.

use rayon::prelude::*;

use super::{Link, Points, squared_distance};

/// Prim's algorithm with a row of distances, `O(n^2 d)`: ends and weight of each edge.
pub(super) fn prim(points: Points<'_>, core: &[f64]) -> Vec<Link> {
    let n = points.len();
    let mut outside: Vec<u32> = (1..n as u32).collect();
    // Squared distance to the tree, and to which of its points.
    let mut best = vec![(f64::INFINITY, 0_u32); n];
    let mut tree = Vec::with_capacity(n.saturating_sub(1));
    let mut last = 0;
    while !outside.is_empty() {
        dozen_run::stop_point();
        let mut place = 0;
        for (candidate, &node) in outside.iter().enumerate() {
            let (node, from) = (node as usize, last as usize);
            let distance = squared_distance(points.point(node), points.point(from));
            let floor = core[node].max(core[from]);
            let distance = distance.max(floor * floor);
            if (distance, last) < best[node] {
                best[node] = (distance, last);
            }
            if key(&best, node) < key(&best, outside[place] as usize) {
                place = candidate;
            }
        }
        let node = outside.swap_remove(place);
        let from = best[node as usize].1;
        let weight = points.distance(node as usize, from as usize);
        let weight = weight.max(core[node as usize]).max(core[from as usize]);
        tree.push(Link { a: from.min(node), b: from.max(node), weight });
        last = node;
    }
    tree
}

/// What nodes outside of the tree are ordered by.
fn key(best: &[(f64, u32)], node: usize) -> (f64, usize, u32) {
    (best[node].0, node, best[node].1)
}

pub(super) fn core_distances(points: Points<'_>, neighbours: usize) -> Vec<f64> {
    let of = |i: usize| {
        dozen_run::stop_point();
        let mut all: Vec<f64> = (0..points.len())
            .filter(|&j| j != i)
            .map(|j| squared_distance(points.point(i), points.point(j)))
            .collect();
        let (_, &mut distance, _) = all.select_nth_unstable_by(neighbours - 1, f64::total_cmp);
        distance.sqrt()
    };
    (0..points.len()).into_par_iter().map(of).collect()
}

pub(super) fn nearest(points: Points<'_>, queries: Points<'_>, count: usize) -> Vec<Vec<(u32, f64)>> {
    let of = |query: usize| {
        dozen_run::stop_point();
        let distance = |i: usize| (squared_distance(points.point(i), queries.point(query)), i as u32);
        let mut all: Vec<(f64, u32)> = (0..points.len()).map(distance).collect();
        all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        all.iter().take(count).map(|&(squared, i)| (i, squared.sqrt())).collect()
    };
    (0..queries.len()).into_par_iter().map(of).collect()
}
