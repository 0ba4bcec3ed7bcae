//! Laws of spanning trees of points.

mod common;

use dozen_graph::*;
use proptest::prelude::*;

use common::noise;

/// The weight of the tree over all pairs, by Kruskal's algorithm.
fn by_all_pairs(points: Points<'_>, core: &[f64]) -> f64 {
    let n = points.len();
    let (mut sources, mut targets, mut weights) = (vec![], vec![], vec![]);
    for a in 0..n {
        for b in 0..a {
            sources.push(a as u32);
            targets.push(b as u32);
            weights.push(points.distance(a, b).max(core[a]).max(core[b]));
        }
    }
    minimum_spanning_forest(Graph::new(n, &sources, &targets, &weights).unwrap(), Algorithm::Kruskal)
        .total_weight
}

fn assert_tree(points: Points<'_>, core: &[f64], tree: &PointTree) {
    let n = points.len();
    assert_eq!(tree.links.len(), n.saturating_sub(1));
    let mut label: Vec<usize> = (0..n).collect();
    for link in &tree.links {
        let (a, b) = (link.a as usize, link.b as usize);
        assert_eq!(link.weight, points.distance(a, b).max(core[a]).max(core[b]));
        let (from, to) = (label[a], label[b]);
        assert_ne!(from, to, "a circle");
        label.iter_mut().filter(|l| **l == from).for_each(|l| *l = to);
    }
    let expected = by_all_pairs(points, core);
    assert!(
        (tree.total_weight - expected).abs() <= 1e-12 * expected.max(1e-300),
        "{} {expected}",
        tree.total_weight
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn trees_weigh_what_those_over_all_pairs_do(
        n in 1..400_usize, dimension in 1..12_usize, seed in 1..1_000_000_u64, grid in 0..3_usize, neighbours in 0..8_usize,
    ) {
        let mut values = noise(n * dimension, seed);
        // Duplicates and ties on a coarse grid; points on a line.
        for point in values.chunks_mut(dimension) {
            for k in 0..dimension {
                point[k] = match grid { 0 => point[k], 1 => (point[k] * 3.0).floor(), _ => point[0] * (k + 1) as f64 };
            }
        }
        let points = Points::new(&values, dimension).unwrap();
        let none = vec![0.0; n];
        let tree = euclidean_tree(points);
        assert_tree(points, &none, &tree);
        let core = core_distances(points, neighbours);
        for (i, core) in core.iter().enumerate() {
            let mut others: Vec<f64> = (0..n).filter(|&j| j != i).map(|j| points.distance(i, j)).collect();
            others.sort_by(f64::total_cmp);
            let expected = if neighbours == 0 || n == 1 { 0.0 } else { others[neighbours.min(n - 1) - 1] };
            prop_assert!((core - expected).abs() <= 1e-15 * expected);
        }
        assert_tree(points, &core, &mutual_reachability_tree(points, &core));
    }
}

#[test]
fn trees_do_not_depend_on_the_number_of_threads() {
    let mut values = noise(2 * 30_000, 3);
    for value in &mut values[..20_000] {
        *value = (*value * 50.0).floor();
    }
    let points = Points::new(&values, 2).unwrap();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            (euclidean_tree(points), mutual_reachability_tree(points, &core_distances(points, 5)))
        })
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(7));
}

#[test]
fn coordinates_are_finite() {
    let error = Points::new(&[1.0, 2.0, 3.0, f64::NAN], 2).err().unwrap().to_string();
    assert_eq!(
        error,
        "point 1, counted from 0, has NaN as coordinate 1; coordinates are finite and at most 1e150"
    );
    assert!(Points::new(&[1.0, -2e150], 2).is_err());
    assert_eq!(Points::new(&[1.0], 2).err().unwrap().to_string(), "1 coordinates are not whole points of 2");
}
